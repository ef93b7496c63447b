# Searches with lesion patches. They are timed too: no other job runs beside them.


rule lesions:
    input:
        inputs_of("lesions"),
    output:
        f"{layout.lesions('{paper}/{cell}')}",
        f"{layout.lesion_patches('{paper}/{cell}')}",
        receipt=f"{layout.receipt('lesions', '{paper}/{cell}')}",
    log:
        f"{logs}/lesions/{{paper}}/{{cell}}.log",
    conda:
        "../../environment.yml"
    threads: workflow.cores or 16
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 20 * attempt,
    params:
        options=options,
    shell:
        "medhash lesions {wildcards.paper}/{wildcards.cell} {params.options} > {log} 2>&1"
