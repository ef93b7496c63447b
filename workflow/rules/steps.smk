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


def forms():
    """Each kind with its rules; the wildcards in braces stand for the parts of a key."""
    for kind in kinds():
        names = [str(wildcard) for wildcard in kind.wildcards]
        for form in kind.forms(layout, *names):
            yield kind, form, kind.key(*names)


for kind, form, key in forms():

    rule:
        name:
            form.rule
        input:
            inputs_of(kind),
        output:
            **form.outputs,
            receipt=layout.receipt(kind.rule, key),
        log:
            f"{logs}/{kind.rule}/{key}.log",
        wildcard_constraints:
            **{wildcard.name: wildcard.pattern for wildcard in kind.wildcards}
            | form.patterns,
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
