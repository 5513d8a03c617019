"""The pages: docs/readings.md has all readings, docs/fidelity.md where each belongs."""

from __future__ import annotations

import re

from sandbox.readings.registry import BY_ID, READINGS, Reading
from tests.processes import ROOT

REASONS = ("single", "newer", "lenient", "unsafe", "setting", "unknown")
FIDELITY = (ROOT / "docs/fidelity.md").read_text(encoding="utf-8")
_ROW = re.compile(r"\| (?P<what>.*) \| (?P<kinds>[CAO](?:, [CAO])*) \|.* ?\| ?(?P<last>.*?) ?\|")


def rows() -> list[tuple[str, str, str]]:
    """Return what each row is about, its kinds and its last cell; the state machines have none."""
    lines = FIDELITY.partition("## State machines")[0].splitlines()
    matches = filter(None, map(_ROW.fullmatch, lines))
    return [(match["what"], match["kinds"], match["last"]) for match in matches]


def documented(reading: Reading) -> str:
    """Return the row of a reading in docs/readings.md."""
    texts = [f"`{value}`: {text}" for value, text in reading.alternatives.items()]
    return f"| `{reading.id}` | {'<br>'.join(texts)} | {reading.source} |"


def test_page_has_a_row_for_each_reading() -> None:
    page = (ROOT / "docs/readings.md").read_text(encoding="utf-8").splitlines()
    found = [line for line in page if line.startswith("| `") and "<br>" in line]
    wanted = [documented(reading) for reading in READINGS]
    assert found == wanted, "\n".join(row for row in wanted if row not in found)


def test_each_assumed_row_has_a_reading_or_a_reason() -> None:
    assert len(rows()) > 250
    for what, kinds, last in rows():
        ids = re.findall(r"`(\w+)`", last)
        assert set(ids) <= BY_ID.keys(), what
        if not ids:
            assert last in (REASONS if "A" in kinds else ("",)), what
    for reason in REASONS:
        assert f"- *{reason}*: " in FIDELITY


def test_each_reading_is_named_by_its_row() -> None:
    for reading in READINGS:
        found = [last for what, _, last in rows() if what.startswith(reading.row)]
        assert [f"`{reading.id}`" in last for last in found] == [True], reading.id
