# One page about everything else.


rule report:
    input:
        inputs_of("report", "all"),
    output:
        f"{layout.root}/report.html",
        receipt=f"{layout.receipt('report', 'all')}",
    log:
        f"{logs}/report/all.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        options=options,
    shell:
        "medhash report {params.options} > {log} 2>&1"
