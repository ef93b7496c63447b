# Runs on a Slurm cluster: what stays on the machine that submits, and what the executor leaves
# unsaid. See workflow/profiles/slurm and docs/cluster.md.
import os
from pathlib import Path

from medhash.running import slurm

if own_command := slurm.own_command(sys.argv, os.environ):
    os.execvp("sh", ["sh", "-c", own_command])


def check_slurm():
    """Refuse, before the first job, what would make the executor wait for ever."""
    settings = workflow.executor_settings
    remote = [job for job in workflow.dag.needrun_jobs() if not job.is_local]
    slurm.check_cluster(settings.status_command)
    asked = {job.resources.get("slurm_partition") for job in remote} - {None}
    for partition in slurm.partitions_that_cancel(asked):
        logger.warning(
            f"Partition {partition} cancels the jobs that it preempts (PreemptMode=CANCEL), and "
            "Snakemake would wait for them: after a preemption, Ctrl-C and the same command again."
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


def slurm_log(job):
    """Slurm's own log of a job that failed, where there is one."""
    if job.is_local or not on_slurm():
        return []
    logdir = Path(workflow.executor_settings.logdir or ".snakemake/slurm_logs")
    log = slurm.job_log(logdir, job.rule.name, job.output)
    return [str(log)] if log else []


def on_slurm():
    return hasattr(workflow.executor_settings, "array_jobs")
