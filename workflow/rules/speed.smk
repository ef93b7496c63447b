# How fast a cell answers a query. A measurement: it takes all cores, so that no job runs beside it.


rule fps:
    input:
        inputs_of("fps"),
    output:
        f"{layout.speed('{paper}/{cell}')}",
        receipt=f"{layout.receipt('fps', '{paper}/{cell}')}",
    log:
        f"{logs}/fps/{{paper}}/{{cell}}.log",
    conda:
        "../../environment.yml"
    threads: workflow.cores or 16
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 20 * attempt,
    params:
        options=options,
    shell:
        "medhash fps {wildcards.paper}/{wildcards.cell} {params.options} > {log} 2>&1"
