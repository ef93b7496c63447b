# The backbone of a dataset: masked autoencoder, then classification.


rule pretrain:
    input:
        images=f"{layout.data('{dataset}')}/images.npy",
        labels=f"{layout.data('{dataset}')}/labels.npy",
        split=lambda wildcards: layout.split(
            wildcards.dataset, configuration.split_seed(wildcards.dataset)
        ),
        previous=branch(
            lambda wildcards: wildcards.stage == "mae",
            then=[],
            otherwise=f"{layout.pretrained('{dataset}', 'mae')}",
        ),
    output:
        weights=f"{layout.pretrained('{dataset}', '{stage}')}",
        losses=f"{layout.pretrained('{dataset}', '{stage}').with_suffix('.csv')}",
        facts=f"{layout.pretrained('{dataset}', '{stage}').with_suffix('.json')}",
    log:
        f"{logs}/pretrain/{{dataset}}/{{stage}}.log",
    conda:
        "../../environment.yml"
    threads: lambda wildcards: configuration.settings_for(wildcards.dataset).threads
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 720 * attempt,
    params:
        options=options,
        version=lambda wildcards: versions.pretrain(wildcards.dataset, wildcards.stage),
    shell:
        "medhash pretrain {wildcards.dataset} --stage {wildcards.stage} {params.options} > {log} 2>&1"
