# What a trained cell looks at, for figures.


rule explain:
    input:
        inputs_of("explain"),
    output:
        f"{layout.explanation('{cell}')}",
        receipt=f"{layout.receipt('explain', '{cell}')}",
    log:
        f"{logs}/explain/{{cell}}.log",
    conda:
        "../../environment.yml"
    threads: lambda wildcards: configuration.settings_for(Cell.parse(wildcards.cell).dataset).threads
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        options=options,
    shell:
        "medhash explain {wildcards.cell} {params.options} > {log} 2>&1"
