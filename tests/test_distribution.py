"""How the tests are spread over processes."""

import pytest


@pytest.mark.xdist_group("together")
def test_tests_of_a_group_stay_in_one_process(request):
    """Else what they share is made in each process: of Slurm, two clusters at once."""
    if request.config.getoption("loadgroup", default=False):
        assert request.node.nodeid.endswith("@together")
