"""Times as they are written on the command line, and in words."""

import pytest

from medhash.errors import MedhashError
from medhash.running.durations import duration_text, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("25m", 1500),
        ("90s", 90),
        ("1h30m", 5400),
        ("2d", 172800),
        ("1d2h3m4s", 93784),
        (" 5M ", 300),
    ],
)
def test_a_time_is_read(text, seconds):
    assert parse_duration(text, "--budget") == seconds


@pytest.mark.parametrize(
    "text", ["25", "", " ", "m", "-5m", "1.5h", "1m1h", "25 m", "25min", "1m2m", "h30m", "٣m"]
)
def test_another_form_is_refused_with_an_example(text):
    with pytest.raises(MedhashError, match=r"--budget .*expected a time with its unit.*25m"):
        parse_duration(text, "--budget")


@pytest.mark.parametrize("text", ["0m", "0s", "0h0m"])
def test_no_time_is_refused(text):
    with pytest.raises(MedhashError, match=f"--grace '{text}': no time"):
        parse_duration(text, "--grace")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (99, "99 s"),
        (100, "2 min"),
        (59.4 * 60, "59 min"),
        (59.6 * 60, "1 h 00 min"),
        (3600 + 5 * 60, "1 h 05 min"),
        (47 * 3600, "47 h 00 min"),
        (76 * 3600, "3 d 4 h"),
    ],
)
def test_a_time_in_words(seconds, text):
    assert duration_text(seconds) == text
