# Tables from records, or from measurements of speed.


rule table:
    input:
        inputs_of("table"),
    output:
        multiext(f"{layout.table('{paper}', '{name}')}", ".csv", ".md", ".tex"),
        receipt=f"{layout.receipt('table', '{paper}/{name}')}",
    log:
        f"{logs}/table/{{paper}}/{{name}}.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        options=options,
    shell:
        "medhash table {wildcards.paper}/{wildcards.name} {params.options} > {log} 2>&1"
