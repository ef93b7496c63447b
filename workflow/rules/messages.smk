# What is said before the first job, and at the end of a run that failed.
from medhash.data.upstream import missing_report
from medhash.commands.warm import start_server
from medhash.configuration.loading import check_weights


def begins_jobs_in_copies():
    """Whether jobs run here, in this environment, and enough of them to load packages for them."""
    if workflow.non_local_exec or workflow.deployment_settings.deployment_method:
        return False
    return sum(not job.is_norun for job in workflow.dag.needrun_jobs()) > 2


def wildcards_of_jobs(rule):
    """Those of the jobs of a rule that have to run."""
    jobs = workflow.dag.needrun_jobs()
    return [job.wildcards for job in jobs if job.rule.name == rule]


onstart:
    datasets = (wildcards.dataset for wildcards in wildcards_of_jobs("prepare"))
    needed = {dataset: configuration.cards[dataset] for dataset in datasets}
    networks = {wildcards.network for wildcards in wildcards_of_jobs("weights")}
    try:
        check_weights(configuration, networks)
        if on_slurm():
            check_slurm()
        waiting = configuration.artefacts_waiting(needed)
        report = missing_report(needed, configuration.archive_folders, waiting)
    except MedhashError as error:
        sys.exit(f"medhash: {error}")
    if report and not configuration.download:
        sys.exit(
            f"medhash: {report}\n\nNo job was started (download: false in config/config.yaml)."
        )
    if report:
        logger.warning(f"{report}\n\nThey are downloaded now.")
    if begins_jobs_in_copies() and start_server():
        logger.info("Jobs begin in copies of a process that has loaded torch.")


onerror:
    failed = sorted(
        workflow.scheduler.failed, key=lambda job: (job.rule.name, *job.wildcards)
    )
    if failed:
        logger.error("These jobs failed; what they stop has not run:")
    for job in failed:
        logs_of_job = " ".join([*job.log, *slurm_log(job)])
        logger.error(f"  {job.rule.name} {'/'.join(job.wildcards)}  {logs_of_job}")
