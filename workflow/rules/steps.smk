# The rules of the flow, one for each description in medhash.flow.kinds.
from medhash.flow.kinds import kinds


def threads_of(kind):
    """A measurement takes all cores, so that no job runs beside it."""
    if kind.resources.alone:
        return workflow.cores or 16
    return lambda wildcards: kind.number_of_threads(
        configuration, *values_of(kind, wildcards)
    )


def growing(amount):
    """More in each attempt."""
    return lambda wildcards, attempt: amount * attempt


def arguments_of(kind):
    """What does the same by hand."""
    return lambda wildcards: kind.arguments(*values_of(kind, wildcards))


for kind in kinds():
    names = [str(wildcard) for wildcard in kind.wildcards]
    key = kind.key(*names)

    rule:
        name:
            kind.rule
        input:
            inputs_of(kind),
        output:
            **kind.outputs(layout, *names),
            receipt=layout.receipt(kind.rule, key),
        log:
            f"{logs}/{kind.rule}/{key}.log",
        wildcard_constraints:
            **{wildcard.name: wildcard.pattern for wildcard in kind.wildcards},
        localrule: kind.resources.local
        conda:
            "../../environment.yml"
        threads: threads_of(kind)
        resources:
            gpu=kind.resources.gpu,
            mem_mb=growing(kind.resources.memory_mb),
            runtime=growing(kind.resources.minutes),
        params:
            arguments=arguments_of(kind),
            options=options,
        # The same text for every rule: it is looked at when a job begins, after the loop.
        shell:
            "medhash {params.arguments} {params.options} > {log} 2>&1"
