# What a job waits for: medhash.flow.steps says what a step reads, its receipt whether it runs.
import os
from functools import cache
from pathlib import Path

from medhash.flow.borrowing import borrow
from medhash.flow.plan import Plan
from medhash.flow.receipts import Receipts

# An environment variable, so that the processes of jobs on a cluster see it, too.
FORCED = "MEDHASH_FORCED"


def inputs_of(kind):
    """An input function for a rule whose wildcards are the parts of its steps' keys."""

    def inputs(wildcards):
        # The process of a single job, on a cluster's node, makes what it is told to make.
        if not workflow.is_main_process:
            return []
        key = kind.key(*values_of(kind, wildcards))
        return the_plan().inputs(steps.find(kind.rule, key))

    return inputs


def values_of(kind, wildcards):
    """The parts of a step's key, in their order."""
    return [getattr(wildcards, wildcard.name) for wildcard in kind.wildcards]


def receipts_for(files):
    """The receipts of the steps that write some files."""
    makers = (steps.making(Path(file)) for file in files)
    return list(dict.fromkeys(maker.receipt for maker in makers))


@cache
def the_plan():
    """What has to run for the targets of this run; says which files are refused."""
    asked = workflow.dag_settings
    if asked.forceall or asked.forcetargets or asked.forcerun:
        os.environ[FORCED] = "1"
    wanted = [file for name in named for file in targets.get(name, ())]
    try:
        receipts = Receipts(steps)
        borrow(steps, receipts, map(Path, wanted))
        plan = Plan(steps, receipts, map(Path, wanted), forced_by(asked, wanted))
    except MedhashError as error:
        sys.exit(f"medhash: {error}")
    refused = [f"\n  {fit.reason}" for fit in plan.refused()]
    if refused:
        more = f"\n  and {len(refused) - 10} more" if len(refused) > 10 else ""
        listed = "".join(refused[:10]) + more
        logger.warning(f"These files are not accepted and are made again:{listed}")
    return plan


def forced_by(asked, wanted):
    """Which steps the options --forceall, --force and --forcerun run in any case."""
    files = set(wanted) if asked.forcetargets else set()
    files |= set(asked.forcerun)

    def forced(step):
        named = step.rule in asked.forcerun or not files.isdisjoint(
            map(str, step.files)
        )
        return asked.forceall or named

    return forced
