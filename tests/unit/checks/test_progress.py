"""What a run shows while it runs."""

from __future__ import annotations

import io
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from checks.outputs import progress
from tests.unit.checks.reports import FAIL, PASS, SHOULD, check, result
from tests.unit.checks.test_terminal import Terminal


@pytest.mark.parametrize(
    ("out", "environ"),
    [
        (io.StringIO(), {}),
        (Terminal(), {"CI": "true"}),
        (Terminal(), {"NO_COLOR": "1"}),
        (Terminal(), {"TERM": "dumb"}),
    ],
)
def test_each_result_is_a_line_outside_of_a_terminal(
    out: io.StringIO, environ: dict[str, str]
) -> None:
    shown = progress.create(2, False, out, environ)
    shown.started(check())
    shown.ended(result(FAIL))
    shown.ended(result(PASS, check("auth.get")))
    shown.close()
    assert out.getvalue() == "[1/2] fail auth.garbage (0.2 s)\n[2/2] pass auth.get (0.2 s)\n"


def test_stream_that_is_gone_ends_no_run() -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    progress.create(1, False, Closed(), {}).ended(result(PASS))


def test_bar_names_running_checks_and_is_removed() -> None:
    out = Terminal()
    shown = progress.create(2, False, out, {})
    shown.started(check())
    shown.ended(result(FAIL))
    shown.started(check("auth.none"))
    shown.close()
    shown.close()
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", out.getvalue())
    assert "0/2" in text and "starting" in text
    assert "1/2" in text and "1 failed  auth.none" in text
    # The line is deleted at the end.
    assert out.getvalue().endswith("\x1b[1A\x1b[2K")


def test_counter_is_right_with_several_threads() -> None:
    counter = progress.Counter(strict=False)
    checks = [check(f"auth.x{i}", SHOULD if i % 2 else check().level) for i in range(100)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(counter.started, checks))
        list(pool.map(lambda one: counter.ended(result(FAIL, one)), checks))
    assert (counter.done, counter.text()) == (100, "50 failed")


def test_skipped_check_is_counted_without_a_start() -> None:
    counter = progress.Counter(strict=False)
    counter.started(check("auth.none"))
    counter.ended(result(PASS))
    assert (counter.done, counter.text()) == (1, "auth.none")
