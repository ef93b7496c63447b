# The rules of the flow, one for each description in medhash.flow.kinds. A rule names one file, the
# receipt that a step leaves behind when all else is written: Snakemake takes its time for each file
# of each job, and which files a step has only the step can say.
from snakemake.persistence import FileBackupMixin

from medhash.flow.kinds import kinds

# Of outputs that it does not remove, Snakemake copies the old ones, and copies them back over those
# of a job that failed, through links, too. A receipt needs none of it.
FileBackupMixin.backup_output = lambda self, path: None
FileBackupMixin.restore_output = lambda self, path: False


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


def command_of(kind):
    """What does the same by hand, word by word.

    A job that is planned because of one before it is done where that made the same bytes again.
    """

    def command(wildcards):
        asks = not kind.gathers and FORCED not in os.environ
        words = kind.words(*values_of(kind, wildcards))
        return [*words, *options, *["--if-outdated"] * asks]

    return command


for kind in kinds():
    key = kind.key(*map(str, kind.wildcards))

    rule:
        name:
            kind.rule
        input:
            inputs_of(kind),
        # Snakemake leaves it as it is before a job, and after one that failed: a step writes each
        # of its files beside the old one and renames it, and whether they fit the receipt says.
        output:
            update(str(layout.receipt(kind.rule, key))),
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
            command=command_of(kind),
        # The same text for every rule: it is looked at when a job begins, after the loop.
        shell:
            "medhash {params.command:q} > {log:q} 2>&1"
