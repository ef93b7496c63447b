# A cell: train it, then score its codes.


rule train:
    input:
        inputs_of("train"),
    output:
        checkpoint=f"{layout.cell('{cell}')}/checkpoint.safetensors",
        codes=f"{layout.codes('{cell}')}",
        losses=f"{layout.cell('{cell}')}/train.csv",
        facts=f"{layout.training('{cell}')}",
        receipt=f"{layout.receipt('train', '{cell}')}",
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
    shell:
        "medhash train {wildcards.cell} {params.options} > {log} 2>&1"


rule record:
    input:
        inputs_of("record"),
    output:
        f"{layout.record('{cell}')}",
        receipt=f"{layout.receipt('record', '{cell}')}",
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
    shell:
        "medhash record {wildcards.cell} {params.options} > {log} 2>&1"
