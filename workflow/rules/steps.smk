# The rules of the flow, one for each description in medhash.flow.kinds.
from medhash.flow.kinds import kinds


def threads_of(kind):
    """A measurement takes all cores, so that no job runs beside it."""
    if kind.resources.alone:
        return workflow.cores or 16
    return lambda wildcards: kind.number_of_threads(configuration, *wildcards)


def growing(amount):
    """More in each attempt."""
    return lambda wildcards, attempt: amount * attempt


def command_of(kind):
    """The command that does the same by hand."""
    arguments = kind.arguments(*[f"{{wildcards.{each.name}}}" for each in kind.wildcards])
    return f"medhash {arguments} {{params.options}} > {{log}} 2>&1"


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
        localrule:
            kind.resources.local
        conda:
            "../../environment.yml"
        threads: threads_of(kind)
        resources:
            gpu=kind.resources.gpu,
            mem_mb=growing(kind.resources.memory_mb),
            runtime=growing(kind.resources.minutes),
        params:
            options=options,
        shell:
            command_of(kind)
