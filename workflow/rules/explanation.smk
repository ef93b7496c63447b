# What a trained cell looks at, for figures.


rule explain:
    input:
        checkpoint=f"{layout.cell('{cell}')}/checkpoint.safetensors",
        codes=f"{layout.codes('{cell}')}",
        images=lambda wildcards: layout.data(Cell.parse(wildcards.cell).dataset)
        / "images.npy",
        labels=lambda wildcards: layout.data(Cell.parse(wildcards.cell).dataset)
        / "labels.npy",
        split=lambda wildcards: configuration.split_of(Cell.parse(wildcards.cell)),
    output:
        f"{layout.explanation('{cell}')}",
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
        version=lambda wildcards: versions.explain(Cell.parse(wildcards.cell)),
    shell:
        "medhash explain {wildcards.cell} {params.options} > {log} 2>&1"
