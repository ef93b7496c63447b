# From archives, or from nothing, to images, splits and what they leak.


rule prepare:
    input:
        inputs_of("prepare"),
    output:
        images=f"{layout.data('{dataset}', '{size}')}/images.npy",
        labels=f"{layout.data('{dataset}', '{size}')}/labels.npy",
        index=f"{layout.data('{dataset}', '{size}')}/index.csv",
        description=f"{layout.data('{dataset}', '{size}')}/dataset.json",
        receipt=f"{layout.receipt('prepare', '{dataset}/{size}')}",
    log:
        f"{logs}/prepare/{{dataset}}/{{size}}.log",
    wildcard_constraints:
        dataset="(?!phantom_)[^/]+",
    conda:
        "../../environment.yml"
    threads: 4
    resources:
        gpu=0,
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        options=options,
    shell:
        "medhash prepare {wildcards.dataset}/{wildcards.size} {params.options} > {log} 2>&1"


rule phantom:
    input:
        inputs_of("phantom"),
    output:
        images=f"{layout.data('{dataset}', '{size}')}/images.npy",
        labels=f"{layout.data('{dataset}', '{size}')}/labels.npy",
        index=f"{layout.data('{dataset}', '{size}')}/index.csv",
        description=f"{layout.data('{dataset}', '{size}')}/dataset.json",
        masks=f"{layout.data('{dataset}', '{size}')}/masks.npy",
        confounders=f"{layout.data('{dataset}', '{size}')}/confounders.csv",
        receipt=f"{layout.receipt('phantom', '{dataset}/{size}')}",
    log:
        f"{logs}/phantom/{{dataset}}/{{size}}.log",
    wildcard_constraints:
        dataset="phantom_[^/]+",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        options=options,
    shell:
        "medhash prepare {wildcards.dataset}/{wildcards.size} {params.options} > {log} 2>&1"


rule gist:
    input:
        inputs_of("gist"),
    output:
        gist=f"{layout.data('{dataset}', '{size}')}/gist.npy",
        receipt=f"{layout.receipt('gist', '{dataset}/{size}')}",
    log:
        f"{logs}/gist/{{dataset}}/{{size}}.log",
    conda:
        "../../environment.yml"
    threads: 4
    resources:
        gpu=0,
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        options=options,
    shell:
        "medhash gist {wildcards.dataset}/{wildcards.size} {params.options} > {log} 2>&1"


rule split:
    input:
        inputs_of("split"),
    output:
        manifest=f"{layout.split('{paper}', '{dataset}', '{seed}')}",
        facts=f"{layout.split('{paper}', '{dataset}', '{seed}').with_suffix('.json')}",
        receipt=f"{layout.receipt('split', '{paper}/{dataset}/{seed}')}",
    log:
        f"{logs}/split/{{paper}}/{{dataset}}/{{seed}}.log",
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
        "medhash split {wildcards.paper}/{wildcards.dataset} {params.options} > {log} 2>&1"


rule leakage:
    input:
        inputs_of("leakage"),
    output:
        multiext(
            f"{layout.leakage('{paper}', '{dataset}', '{seed}')}",
            ".csv",
            ".md",
            ".json",
        ),
        receipt=f"{layout.receipt('leakage', '{paper}/{dataset}/{seed}')}",
    log:
        f"{logs}/leakage/{{paper}}/{{dataset}}/{{seed}}.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        options=options,
    shell:
        "medhash leakage {wildcards.paper}/{wildcards.dataset} {params.options} > {log} 2>&1"
