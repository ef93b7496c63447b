# Figures from records and, where they show images, from explanations.


rule figure:
    input:
        lambda wildcards: layout.figure_inputs(configuration.figures[wildcards.stem]),
    output:
        multiext(f"{layout.root}/figures/{{stem}}", ".pdf", ".png", ".csv"),
    log:
        f"{logs}/figure/{{stem}}.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        options=options,
        version=lambda wildcards: versions.figure(wildcards.stem),
    shell:
        "medhash figure {wildcards.stem} {params.options} > {log} 2>&1"
