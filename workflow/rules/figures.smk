# Figures from records and, where they show images, from explanations.


rule figure:
    input:
        inputs_of("figure"),
    output:
        multiext(f"{layout.figure('{paper}', '{name}')}", ".pdf", ".png", ".csv"),
        receipt=f"{layout.receipt('figure', '{paper}/{name}')}",
    log:
        f"{logs}/figure/{{paper}}/{{name}}.log",
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
        "medhash figure {wildcards.paper}/{wildcards.name} {params.options} > {log} 2>&1"
