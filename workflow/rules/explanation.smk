# What a trained cell looks at, for figures.


rule explain:
    input:
        inputs_of("explain"),
    output:
        f"{layout.explanation('{paper}/{cell}')}",
        receipt=f"{layout.receipt('explain', '{paper}/{cell}')}",
    log:
        f"{logs}/explain/{{paper}}/{{cell}}.log",
    conda:
        "../../environment.yml"
    threads: lambda wildcards: configuration.settings[wildcards.paper].threads
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        options=options,
    shell:
        "medhash explain {wildcards.paper}/{wildcards.cell} {params.options} > {log} 2>&1"
