"""The page of the faults is written from their registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.faults.kinds import API, DELIVERY, INTEGER, KINDS, NUMBER, Kind, Parameter
from tools import faults_page

ROOT = Path(__file__).resolve().parents[3]


def test_page_is_current() -> None:
    page = (ROOT / faults_page.PAGE).read_text()
    assert faults_page.updated(page, KINDS.values()) == page


def test_section_has_the_texts_and_parameters_of_a_kind() -> None:
    parameters = (
        Parameter("ms", NUMBER, "Delay.", low=0, high=1000, unit="milliseconds"),
        Parameter("n", INTEGER, "How many.", 5, 1, 10, sides=(API,)),
    )
    kind = Kind(
        "late", {DELIVERY: "It's sent later.", API: "So is this."}, parameters, is_final=False
    )
    assert list(faults_page.render([kind, Kind("lost", {API: "Nothing is sent."})])) == [
        "",
        "## Kinds",
        "",
        "### late",
        "",
        "- Requests to handlers: it's sent later.",
        "- Calls of the API: so is this.",
        "- It fires beside others.",
        "",
        "| Parameter | |",
        "|---|---|",
        "| `ms` | Delay. From 0 to 1,000 milliseconds; required. |",
        "| `n` | Calls of the API: How many. From 1 to 10; 5 by default. |",
        "",
        "### lost",
        "",
        "- Calls of the API: nothing is sent.",
    ]


def test_page_without_the_marker_is_refused() -> None:
    with pytest.raises(SystemExit, match=r"docs/faults\.md has no line"):
        faults_page.updated("# Faults\n", [])
