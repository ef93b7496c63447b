import asyncio
import base64
import json
import math
import os
import zlib
from types import SimpleNamespace

import pytest

from medhash.errors import MedhashError
from medhash.running.slurm import (
    UNLIMITED,
    Partition,
    check_arrays,
    check_time,
    doze,
    job_log,
    own_command,
)

LOG = """Building DAG of jobs...
rule train:
    input: images.npy
    output: {folder}/checkpoint.safetensors, {folder}/codes.npz
    log: logs/train.log
"""


def write_log(path, folder, age):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(LOG.format(folder=folder))
    os.utime(path, (1e9 - age, 1e9 - age))
    return path


def outputs(folder):
    return [f"{folder}/checkpoint.safetensors", f"{folder}/codes.npz"]


def test_the_newest_log_of_a_job_is_found_among_those_of_an_array_and_of_single_jobs(tmp_path):
    rule = tmp_path / "rule_train"
    write_log(rule / "8_1.log", "cells/a", age=30)
    of_other = write_log(rule / "8_2.log", "cells/b", age=30)
    newest = write_log(rule / "cells_a" / "9.log", "cells/a", age=20)
    write_log(rule / "10.log", "cells/aa", age=10)
    assert job_log(tmp_path, "train", outputs("cells/a")) == newest
    assert job_log(tmp_path, "train", outputs("cells/b")) == of_other


def test_a_job_that_never_started_has_no_log(tmp_path):
    write_log(tmp_path / "rule_train" / "8_1.log", "cells/a", age=0)
    assert job_log(tmp_path, "train", outputs("cells/c")) is None
    assert job_log(tmp_path, "pretrain", outputs("cells/a")) is None


@pytest.mark.parametrize("limit", [UNLIMITED, None, 7])
def test_arrays_go_with_limits_that_hold_no_job_back(limit):
    check_arrays(7, {"--jobs": limit})


def test_a_limit_that_holds_a_job_back_does_not_go_with_arrays():
    with pytest.raises(MedhashError, match=r"--resources gpu 6 .* of 7 jobs.*array-jobs none"):
        check_arrays(7, {"--jobs": UNLIMITED, "--resources gpu": 6})


def array_arguments(separate):
    commands = {"2": "snakemake second", "3": "snakemake third"}
    packed = {task: zlib.compress(text.encode()).hex() for task, text in commands.items()}
    payload = base64.b64encode(json.dumps(packed).encode()).decode()
    option = "--slurm-jobstep-array-execs"
    last = [option, payload] if separate else [f"{option}={payload}"]
    return ["snakemake", "--target-jobs", "train:cell=first", *last]


@pytest.mark.parametrize("separate", [True, False])
def test_a_task_of_an_array_becomes_its_own_command(separate):
    variables = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_MIN": "1"}
    assert own_command(array_arguments(separate), variables) == "snakemake third"


def test_the_first_task_and_what_is_no_task_stay_what_they_are():
    first = {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_MIN": "1"}
    assert own_command(array_arguments(separate=False), first) is None
    assert own_command(array_arguments(separate=False), {}) is None
    own_already = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_MIN": "1"}
    assert own_command(["snakemake", "--target-jobs", "train:cell=third"], own_already) is None


def test_a_job_that_asks_for_no_more_time_than_there_is_goes():
    check_time(Partition("gpu", cancels=False, minutes=1440), "train", [720, 1440])
    check_time(Partition("gpu", cancels=False, minutes=math.inf), "train", [720, 1440, 2160])


def test_a_job_that_asks_for_more_time_than_there_is_is_refused():
    partition = Partition("gpu", cancels=False, minutes=1440)
    message = r"train asks for 2160 minutes in attempt 3, and the partition 'gpu' .* than 1440.*"
    with pytest.raises(MedhashError, match=message + r"min\(720 \* attempt, 1440\)"):
        check_time(partition, "train", [720, 1440, 2160])


def test_a_run_that_ends_waits_for_no_look_at_the_queue():
    executor = SimpleNamespace(next_seconds_between_status_checks=1e6, wait=False)
    asyncio.run(asyncio.wait_for(doze(executor), timeout=60))
