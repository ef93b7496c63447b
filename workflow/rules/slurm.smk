# Runs on a Slurm cluster: what stays on the machine that submits, and what the executor leaves
# unsaid. See workflow/profiles/slurm and docs/cluster.md.
import os
from pathlib import Path

from snakemake.io.fmt import fmt_iofile
from snakemake_executor_plugin_slurm import Executor

from medhash.running import slurm

Executor.sleep, Executor.cancel = slurm.doze, slurm.cancel


if own_command := slurm.own_command(sys.argv, os.environ):
    os.execvp("sh", ["sh", "-c", own_command])


def check_slurm():
    """Refuse, before the first job, what would make the executor wait for ever."""
    settings = workflow.executor_settings
    remote = [job for job in workflow.dag.needrun_jobs() if not job.is_local]
    slurm.check_cluster(settings.status_command)
    known = slurm.partitions()
    goals = {(name_of_partition(job), job.rule.name): job for job in remote}
    for (name, rule), job in goals.items():
        if name in known:
            slurm.check_time(known[name], rule, minutes_of(job))
    for name in {name for name, _ in goals if name in known and known[name].cancels}:
        logger.warning(
            f"Partition {known[name].name} cancels the jobs that it preempts (PreemptMode=CANCEL), "
            "and Snakemake would wait for them: after a preemption, Ctrl-C and the same command "
            "again."
        )
    if settings.array_jobs not in (None, "", "none"):
        at_a_time = dict(workflow.scheduler.global_resources)
        del at_a_time["_cores"], at_a_time["_job_count"]
        limits = {
            "--jobs": at_a_time.pop("_nodes"),
            "--max-jobs-per-timespan": workflow.scheduling_settings.max_jobs_per_timespan.max_jobs,
        }
        limits |= {f"--resources {name}": limit for name, limit in at_a_time.items()}
        slurm.check_arrays(len(remote), limits)


def name_of_partition(job):
    return str(job.resources.get("slurm_partition") or "")


def minutes_of(job):
    """What a job asks for in each of its attempts."""
    minutes = []
    for job.attempt in range(job.restart_times + 1, 0, -1):
        minutes.insert(0, job.resources["runtime"])
    return minutes


def slurm_log(job):
    """Slurm's own log of a job that failed, where there is one."""
    if job.is_local or not on_slurm():
        return []
    logdir = Path(workflow.executor_settings.logdir or ".snakemake/slurm_logs")
    log = slurm.job_log(
        logdir, job.rule.name, [fmt_iofile(file, as_output=True) for file in job.output]
    )
    return [str(log)] if log else []


def on_slurm():
    return hasattr(workflow.executor_settings, "array_jobs")
