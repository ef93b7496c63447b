# The backbone of a dataset: masked autoencoder, then classification.


rule pretrain:
    input:
        inputs_of("pretrain"),
    output:
        weights=f"{layout.pretrained('{paper}', '{dataset}', '{stage}')}",
        losses=f"{layout.pretrained('{paper}', '{dataset}', '{stage}').with_suffix('.csv')}",
        facts=f"{layout.pretrained('{paper}', '{dataset}', '{stage}').with_suffix('.json')}",
        receipt=f"{layout.receipt('pretrain', '{paper}/{dataset}/{stage}')}",
    log:
        f"{logs}/pretrain/{{paper}}/{{dataset}}/{{stage}}.log",
    conda:
        "../../environment.yml"
    threads: lambda wildcards: configuration.settings[wildcards.paper].threads
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 720 * attempt,
    params:
        options=options,
    shell:
        "medhash pretrain {wildcards.paper}/{wildcards.dataset} --stage {wildcards.stage} {params.options} > {log} 2>&1"
