import os

import pytest

from medhash.errors import MedhashError
from medhash.running.slurm import UNLIMITED, check_arrays, job_log

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
