# What the papers claim, decided by the records and measurements of this run.


rule claims:
    input:
        inputs_of("claims", "all"),
    output:
        multiext(f"{layout.root}/claims", ".csv", ".md"),
        receipt=f"{layout.receipt('claims', 'all')}",
    log:
        f"{logs}/claims/all.log",
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
        "medhash claims {params.options} > {log} 2>&1"
