"""Cells as jobs of a real Slurm: cancelled, killed, requeued, preempted, timed out, resumed.

One run is disturbed in every way (:class:`DisturbedRun`); each test looks at one thing that it
must have shown.
"""

import os
import re
import signal
import threading
from collections import Counter

import pytest
from one_node import METHODS, PATIENCE, TABLE, Project, end, wait_for

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.timeout(4 * PATIENCE),
    pytest.mark.xdist_group("slurm"),
]

SLURM = ("--profile", "slurm", TABLE)
GPUS = 6  # of the node
BROKEN = "dsh"
BROKEN_CELL = f"ach/phantom_covid_ct/{BROKEN}/none/8/0"
RESOURCES = {"runtime": "30 * attempt", "mem_mb": "2000 * attempt"}


class Watch(threading.Thread):
    """Looks all the time how many epochs each cell has saved: they must never become fewer."""

    def __init__(self, cells):
        super().__init__(daemon=True)
        self.seen = dict.fromkeys(cells, 0)
        self.fell_back = []
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(0.05):
            for cell, seen in self.seen.items():
                epochs = cell.epochs()
                if 0 < epochs < seen:
                    self.fell_back.append((cell.name, seen, epochs))
                self.seen[cell] = max(seen, epochs)


class DisturbedRun:
    """A run whose every cell is disturbed, most of them more than once, and what came of it.

    Cells are stopped (SIGSTOP) after some epochs, so that all of them are caught half-way,
    whatever the speed of the machine.
    """

    def __init__(self, cluster, project):
        self.cluster = cluster
        self.project = project
        self.cells = {method: project.cell(method) for method in METHODS}
        self.watch = Watch(self.cells.values())
        self.count = Counter()

    def play(self):
        self.watch.start()
        self.cancel_the_workflow()
        jobs = self.start_again()
        self.disturb_each(jobs)
        self.preempt()
        self.lose_the_node()
        self.status = self.process.wait(timeout=PATIENCE)
        self.output = self.project.output()
        self.watch.over.set()

    def cancel_the_workflow(self):
        """Ctrl-C while all cells train."""
        self.process = self.start()
        self.train_and_stop(METHODS)
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=PATIENCE)
        wait_for("the cancelled jobs to end", lambda: not self.cluster.unfinished())
        self.epochs_when_cancelled = [cell.epochs() for cell in self.cells.values()]
        self.count["workflows cancelled"] += 1

    def start_again(self):
        """Everything goes on; somebody else starts a run in the same folder."""
        self.process = self.start()
        jobs = self.train_and_stop(METHODS)
        self.first_attempt = self.cluster.facts(jobs["hashnet"])[0]
        environment = self.cluster.environment
        self.second_status = self.project.run(*SLURM, environment=environment, log="second.log")
        return jobs

    def disturb_each(self, jobs):
        """One job is cancelled, one process killed, one job requeued."""
        self.cluster.command("scancel", jobs["hashnet"])
        os.kill(self.cells["adsh"].process(), signal.SIGKILL)
        self.cluster.command("scontrol", "requeue", jobs["dbdh"])
        self.count.update(["jobs cancelled", "processes killed", "jobs requeued by hand"])
        self.wait_for_end_of(["hashnet", "adsh", "dbdh"])
        again = self.train_and_stop(["hashnet", "adsh", "dbdh"])
        self.second_attempt = self.cluster.facts(again["hashnet"])[0]

    def preempt(self):
        """A job of more important people takes all GPUs."""
        before = self.restarts()
        self.cluster.command(
            *("sbatch", "--wait", "--partition=urgent", f"--gpus={GPUS}", "--time=1"),
            *("--output=/dev/null", "--wrap=true"),
        )
        self.count["jobs preempted"] += self.restarts() - before
        self.hung = self.train_and_stop(["csq", "hashnet", "adsh"])["csq"]

    def lose_the_node(self):
        """A cell hangs until its time is over; when it trains again, the node goes down."""
        self.cluster.command("scontrol", "update", f"jobid={self.hung}", "timelimit=1")
        wait_for("the time-out", lambda: self.cluster.state(self.hung) == "TIMEOUT")
        self.count["jobs timed out"] += 1
        self.train_and_stop(["csq"])
        before = self.restarts()
        self.cluster.command("scontrol", "update", "nodename=one", "state=down", "reason=test")
        # It comes back by itself when it next reports to the controller.
        self.wait_for_end_of(["csq", "hashnet", "adsh"])
        self.count["jobs whose node was lost"] += self.restarts() - before

    def start(self):
        return self.project.start(*SLURM, environment=self.cluster.environment)

    def train_and_stop(self, methods, more=2):
        """Let cells train for some epochs more, stop them; their jobs' names by method."""
        enough = {method: self.cells[method].epochs() + more for method in methods}
        jobs = {}

        def all_stopped():
            for method in set(methods) - set(jobs):
                cell = self.cells[method]
                if cell.epochs() >= enough[method] and cell.process():
                    jobs[method] = cell.job()
                    os.kill(cell.process(), signal.SIGSTOP)
            return len(jobs) == len(methods)

        wait_for(f"{more} epochs more of {methods}", all_stopped)
        return jobs

    def wait_for_end_of(self, methods):
        for method in methods:
            cell = self.cells[method]
            wait_for(f"the end of {method}", lambda cell=cell: cell.process() is None)

    def restarts(self):
        return sum(int(facts["Restarts"]) for facts in self.cluster.facts())

    def report(self, undisturbed):
        """What happened, in numbers."""
        jobs = self.cluster.facts()
        arrays = {job["ArrayJobId"] for job in jobs if "ArrayJobId" in job}
        equal = sum(self.cells[m].codes() == undisturbed.cell(m).codes() for m in METHODS)
        version = self.cluster.command("scontrol", "--version").strip()
        lines = [f"{version}, one node: {len(jobs)} jobs in {len(arrays)} arrays and alone"]
        lines += [f"{what}: {number}" for what, number in sorted(self.count.items())]
        lines += [f"restarts by Slurm: {self.restarts()}"]
        lines += [f"codes equal to those of an undisturbed run: {equal} of {len(METHODS)} cells"]
        return "\n".join(lines)


@pytest.fixture(scope="module")
def disturbed(cluster, undisturbed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("disturbed")
    project = Project(folder, [*METHODS, BROKEN], source=undisturbed.root)
    project.take_backbone_of(undisturbed)
    project.edit_yaml(
        "config/scales/demo.yaml",
        {"settings": {"methods": {BROKEN: {"quantisation": 1e300}}}},
    )
    project.set_up_profile({"set-resources": {"train": RESOURCES}, "retries": 2})
    run = DisturbedRun(cluster, project)
    try:
        run.play()
        yield run
    finally:
        run.watch.over.set()
        end(run.process)


def test_codes_are_those_of_an_undisturbed_run(disturbed, undisturbed, record_property):
    for method, cell in disturbed.cells.items():
        assert cell.codes() == undisturbed.cell(method).codes(), method
    record_property("report", disturbed.report(undisturbed))


def test_every_cell_went_on_from_its_last_epoch(disturbed):
    assert min(disturbed.epochs_when_cancelled) >= 2
    assert disturbed.watch.fell_back == []


def test_every_disturbance_took_place(disturbed):
    assert disturbed.cluster.state(disturbed.hung) == "TIMEOUT"
    assert disturbed.count["jobs preempted"] >= len(METHODS)
    assert disturbed.count["jobs whose node was lost"] >= 3
    assert disturbed.restarts() == sum(
        disturbed.count[what]
        for what in ("jobs requeued by hand", "jobs preempted", "jobs whose node was lost")
    )


def test_only_cells_are_jobs_and_they_go_as_an_array_with_a_gpu_each(disturbed):
    # Snakemake comments on its jobs; what other tests put into the queue has no comment.
    jobs = [job for job in disturbed.cluster.facts() if "Comment" in job]
    assert {job["Partition"] for job in jobs} == {"main"}
    assert {job["Comment"].split("_wildcards")[0] for job in jobs} == {"rule_train"}
    arrays = Counter(job["ArrayJobId"] for job in jobs if "ArrayJobId" in job)
    assert arrays[disturbed.first_attempt["ArrayJobId"]] == len(METHODS) + 1
    assert {job["TresPerJob"] for job in jobs} == {"gres:gpu:1"}


def test_a_further_attempt_asks_for_more_time_and_memory(disturbed):
    first, second = disturbed.first_attempt, disturbed.second_attempt
    assert (first["TimeLimit"], second["TimeLimit"]) == ("00:30:00", "01:00:00")
    # The executor adds a little for the commands of an array.
    assert [memory_mb(facts) // 100 for facts in (first, second)] == [20, 40]


def memory_mb(facts):
    number, unit = re.fullmatch(r"(\d+)([MG])", facts["MinMemoryNode"]).groups()
    return int(number) * {"M": 1, "G": 1024}[unit]


def test_a_failing_cell_stops_no_other_and_is_named_with_its_logs(disturbed):
    assert disturbed.status != 0
    _, _, told = disturbed.output.partition("These jobs failed; what they stop has not run:\n")
    words = told.splitlines()[0].split()
    assert words[:3] == ["train", BROKEN_CELL, f"logs/demo/train/{BROKEN_CELL}.log"]
    of_step, of_slurm = (disturbed.project.root / path for path in words[2:])
    assert "loss term" in of_step.read_text()
    assert BROKEN_CELL in of_slurm.read_text()
    assert of_slurm.is_relative_to(disturbed.project.root / "logs/slurm/rule_train")
    assert not told.splitlines()[1].startswith("  "), told


def test_what_was_corrected_is_all_that_runs_again(disturbed):
    project = disturbed.project
    project.edit_yaml(
        "config/scales/demo.yaml", {"settings": {"methods": {BROKEN: {"quantisation": 1e-4}}}}
    )
    environment = disturbed.cluster.environment
    status = project.run("-n", *SLURM, environment=environment, log="corrected.log")
    said = project.output("corrected.log")
    assert status == 0, said
    table = said.split("Job stats:", 1)[1].split("\n\n", 1)[0]
    counts = dict(re.findall(r"^(\S+) +(\d+)$", table, re.M))
    # The file that is asked for is a row of its own.
    assert counts == {"train": "1", "record": "1", "table": "1", TABLE: "1", "total": "4"}


def test_a_second_run_in_the_same_folder_is_refused(disturbed):
    assert disturbed.second_status != 0
    assert "cannot be locked" in disturbed.project.output("second.log")


def test_a_receipt_names_the_slurm_job(disturbed):
    for method, cell in disturbed.cells.items():
        job = cell.receipt()["slurm"]
        assert job["node"] == "one", method
        assert job["id"] in {facts["JobId"] for facts in disturbed.cluster.facts()}, method
