# How fast a cell answers a query. A measurement: it takes all cores, so that no job runs beside it.


rule fps:
    input:
        checkpoint=f"{layout.cell('{cell}')}/checkpoint.safetensors",
        codes=f"{layout.codes('{cell}')}",
        facts=f"{layout.training('{cell}')}",
        images=lambda wildcards: layout.data(Cell.parse(wildcards.cell).dataset)
        / "images.npy",
        index=lambda wildcards: layout.data(Cell.parse(wildcards.cell).dataset)
        / "index.csv",
        split=lambda wildcards: configuration.split_of(Cell.parse(wildcards.cell)),
    output:
        f"{layout.speed('{cell}')}",
    log:
        f"{logs}/fps/{{cell}}.log",
    conda:
        "../../environment.yml"
    threads: workflow.cores or 16
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 20 * attempt,
    params:
        options=options,
        version=lambda wildcards: versions.speed(Cell.parse(wildcards.cell)),
    shell:
        "medhash fps {wildcards.cell} {params.options} > {log} 2>&1"
