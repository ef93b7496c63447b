# A cell: train it, then score its codes.


rule train:
    input:
        images=lambda wildcards: layout.data(Cell.parse(wildcards.cell).dataset)
        / "images.npy",
        labels=lambda wildcards: layout.data(Cell.parse(wildcards.cell).dataset)
        / "labels.npy",
        split=lambda wildcards: configuration.split_of(Cell.parse(wildcards.cell)),
        pretrained=lambda wildcards: layout.pretrained(
            Cell.parse(wildcards.cell).dataset, "classification"
        ),
    output:
        checkpoint=f"{layout.cell('{cell}')}/checkpoint.safetensors",
        codes=f"{layout.codes('{cell}')}",
        losses=f"{layout.cell('{cell}')}/train.csv",
        facts=f"{layout.training('{cell}')}",
    log:
        f"{logs}/train/{{cell}}.log",
    conda:
        "../../environment.yml"
    threads: lambda wildcards: configuration.settings_for(Cell.parse(wildcards.cell).dataset).threads
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 720 * attempt,
    params:
        options=options,
        version=lambda wildcards: versions.train(Cell.parse(wildcards.cell)),
    shell:
        "medhash train {wildcards.cell} {params.options} > {log} 2>&1"


rule record:
    input:
        codes=f"{layout.codes('{cell}')}",
        facts=f"{layout.training('{cell}')}",
        description=lambda wildcards: (
            layout.data(Cell.parse(wildcards.cell).dataset) / "dataset.json"
        ),
    output:
        f"{layout.record('{cell}')}",
    log:
        f"{logs}/record/{{cell}}.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        options=options,
        version=lambda wildcards: versions.record(Cell.parse(wildcards.cell)),
    shell:
        "medhash record {wildcards.cell} {params.options} > {log} 2>&1"
