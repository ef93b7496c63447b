# A cell: train it, then score its codes or descriptors.
import re

from medhash import methods
from medhash.configuration.declarations import declaration_of

describing = [
    name for name in methods.names() if declaration_of(name).distance != "hamming"
]


def cells_of(has):
    """A pattern of the cells whose methods have something."""
    names = "|".join(re.escape(name) for name in methods.names() if has(name)) or "(?!)"
    return f"[^/]+/(?:{names})/[^/]+/[0-9]+/[0-9]+"


rule train:
    input:
        inputs_of("train"),
    output:
        checkpoint=f"{layout.cell('{paper}/{cell}')}/checkpoint.safetensors",
        codes=f"{layout.codes('{paper}/{cell}')}",
        losses=f"{layout.cell('{paper}/{cell}')}/train.csv",
        facts=f"{layout.training('{paper}/{cell}')}",
        receipt=f"{layout.receipt('train', '{paper}/{cell}')}",
    wildcard_constraints:
        cell=cells_of(lambda method: method not in describing),
    log:
        f"{logs}/train/{{paper}}/{{cell}}.log",
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
        "medhash train {wildcards.paper}/{wildcards.cell} {params.options} > {log} 2>&1"


use rule train as train_descriptors with:
    output:
        checkpoint=f"{layout.cell('{paper}/{cell}')}/checkpoint.safetensors",
        descriptors=f"{layout.cell('{paper}/{cell}')}/descriptors.npz",
        losses=f"{layout.cell('{paper}/{cell}')}/train.csv",
        facts=f"{layout.training('{paper}/{cell}')}",
        receipt=f"{layout.receipt('train', '{paper}/{cell}')}",
    wildcard_constraints:
        cell=cells_of(lambda method: method in describing),


rule record:
    input:
        inputs_of("record"),
    output:
        f"{layout.record('{paper}/{cell}')}",
        receipt=f"{layout.receipt('record', '{paper}/{cell}')}",
    log:
        f"{logs}/record/{{paper}}/{{cell}}.log",
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
        "medhash record {wildcards.paper}/{wildcards.cell} {params.options} > {log} 2>&1"
