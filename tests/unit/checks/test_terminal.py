"""The results of checks for a terminal."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from checks.model import Exhibit, Report, Verdict
from checks.outputs import terminal
from checks.outputs.texts import LONGEST, MOST
from tests.unit.checks.reports import FAIL, caused, mixed, report, result, with_text

PRINTED = """\
Checks of http://127.0.0.1:9000/, seed 7

auth
  ✓ pass         MUST      0.2 s  auth.control: A valid call is processed
  ✗ fail         MUST      0.2 s  auth.garbage: A token of garbage is refused
  ! warning      SHOULD    0.2 s  auth.authorization_only: Authorization alone works
  ≈ known        MUST      0.2 s  auth.other_product: A token of garbage is refused (until 2027-01-31)

token
  ✓ pass         MUST      0.2 s  token.control: A valid call is processed
  ? inconclusive MUST      0.2 s  token.replay: A replay has no second effect

crash
  - skipped      MUST             crash.killed: A killed handler recovers

retry
  - skipped      MAY              retry.rotated_secret: A new secret is read

✗ fail: auth.garbage (MUST): A token of garbage is refused
  The handler returned 200.
  Sent: A request whose token is no JWT.
  Expected: A status from 400 to 499, and no effect.
  Response:
    | HTTP/1.1 200
    | ok
  Why: Anybody who knows the URL could send it.
  Fix: Verify the token before anything else.
  Reproduce: connect-sim check http://127.0.0.1:9000/ --select auth.garbage --seed 7
"""  # noqa: E501
ENDING = """\

Known failures:
  auth.other_product: The handler returned 200.

Inconclusive:
  token.replay: The handler was too slow.

Skipped:
  crash.killed, retry.rotated_secret: Needs --run.

The handler's output ends with:
  | Traceback
  | ValueError

In short:
  fail     MUST   auth.garbage: The handler returned 200.
  warning  SHOULD auth.authorization_only: The handler returned 200.
  1 inconclusive: token.replay

token.replay is known, and passes.
Fail: 1 of 8 checks failed.
2 passed, 1 failed, 1 warning, 1 known failure, 1 inconclusive, 2 skipped in 1 min 32 s.
"""


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def printed(one: Report, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding, errors="strict", newline="\n")
    terminal.write(one, stream, {})
    stream.detach()
    return raw.getvalue().decode(encoding)


def test_each_check_has_a_line_and_each_failure_its_evidence_and_cure() -> None:
    one = mixed(output="Traceback\nValueError\n", notes=("token.replay is known, and passes.",))
    text = printed(one)
    assert text.startswith(PRINTED)
    assert text.endswith(ENDING)


def test_failures_with_one_cause_have_one_piece_of_evidence() -> None:
    text = printed(report(*caused("auth.a", "auth.b", "token.c")))
    assert text.count("  Response:\n") == 1
    assert "  The same cause: Verifies no token. (auth.b, token.c)\n" in text
    assert "\nIn short:\n  fail     MUST   auth.a and 2 more: Verifies no token.\n" in text
    assert "Fail: 3 of 3 checks failed, for 1 cause.\n" in text


def test_stream_of_ascii_gets_ascii_symbols() -> None:
    one = replace(result(FAIL), verdict=Verdict(FAIL, "Zürich → 5 ×…"))
    text = printed(report(one), "ascii")
    assert "  x fail         MUST" in text and "\n  Z\\xfcrich -> 5 x...\n" in text


def test_colors_are_for_terminals_without_no_color() -> None:
    colored, plain = Terminal(), Terminal()
    terminal.write(mixed(), colored, {"NO_COLOR": ""})
    terminal.write(mixed(), plain, {"NO_COLOR": "1"})
    assert "\x1b[31m  ✗ fail" in colored.getvalue()
    assert plain.getvalue() == printed(mixed())
    assert re.sub(r"\x1b\[\d+m", "", colored.getvalue()) == plain.getvalue()


def test_long_evidence_is_cut() -> None:
    evidence = Exhibit("a", ("x" * (LONGEST + 1), *map(str, range(MOST + 1))))
    failed = replace(result(FAIL), verdict=Verdict(FAIL, "", (evidence,)))
    text = printed(report(failed))
    assert f"    | {'x' * LONGEST}…\n" in text
    assert f"    | {MOST - 2}\n    | … 2 more lines\n" in text


# GitHub ignores spaces before `::`, and also knows the commands of Azure Pipelines.
COMMANDS = ("::error::x", " ::add-mask::x", f"{'x' * 99} ::error::x", "x##[error]x", "##vso[x]y")


@pytest.mark.parametrize("text", COMMANDS)
def test_no_text_is_a_command_of_a_ci_service(text: str) -> None:
    lines = printed(with_text(text)).split("\n")
    assert any(":\\:" in line or re.search(r"##\w*\\\[", line) for line in lines)
    assert not [line for line in lines if re.search(r"^\s*::|##\w*\[", line)]


@given(st.text())
@example("::")
def test_no_text_can_begin_a_line_or_control_the_terminal(text: str) -> None:
    lines = printed(with_text(text), "ascii").split("\n")
    assert all(line.isprintable() for line in lines)
    assert not [line for line in lines if line.lstrip().startswith("::")]
