"""Advice about errors of `/sandbox/…`: a row for each code, in the documentation too."""

from __future__ import annotations

import re
from pathlib import Path

from sandbox.error_codes import CODES, of_path

ROOT = Path(__file__).resolve().parents[3]
# Raised by views of `/public/v1` only, or by the web server outside of any API; REQ_001 and VAL_100
# are in stubs of tests.
_ELSEWHERE = {"REQ_000", "REQ_001", "SYS_200", "VAL_100"}


def test_each_code_in_the_source_has_advice() -> None:
    paths = [path for name in ("sandbox", "connect_sim") for path in (ROOT / name).rglob("*.py")]
    paths.append(ROOT / "requests_queue" / "errors.py")
    found = {
        code
        for path in paths
        for code in re.findall(r'"([A-Z]{3,4}_\d{3})"', path.read_text(encoding="utf-8"))
    }
    assert found - _ELSEWHERE <= CODES.keys()


def test_documentation_has_the_codes() -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([A-Z_0-9]+)` \| (yes|no) \| (.+) \|$", page, re.MULTILINE)
    expected = [
        (name, "yes" if code.is_retryable else "no", code.hint) for name, code in CODES.items()
    ]
    assert rows == expected and expected == sorted(expected)


def test_only_the_sandbox_gives_advice() -> None:
    assert of_path("/public/v1/requests", "SYS_503") == of_path("/sandboxes", "SYS_503") == {}
    advice = {"hint": CODES["SYS_503"].hint, "retryable": True}
    assert of_path("/sandbox/clock", "SYS_503") == advice
    other = of_path("/sandbox", "TAR_003")
    assert other["hint"] and not other["retryable"]
