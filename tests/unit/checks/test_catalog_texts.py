"""The texts of `--list` and `--explain`."""

from __future__ import annotations

import pytest

from checks.model import Need
from checks.outputs import catalog_texts
from tests.unit.checks.reports import MAY, SHOULD, check

CHECKS = [
    check("auth.control", title="A valid call is processed"),
    check(),
    check("auth.trailing_whitespace", MAY, title="Trailing white space is accepted"),
    check("crash.killed", title="A killed handler recovers", needs=frozenset({Need.PROCESS})),
]


def test_list_has_a_line_per_check() -> None:
    assert "\n".join(catalog_texts.list_lines(CHECKS)) == (
        "auth\n"
        "  auth.control              MUST    A valid call is processed (control)\n"
        "  auth.garbage              MUST    A token of garbage is refused\n"
        "  auth.trailing_whitespace  MAY     Trailing white space is accepted\n"
        "\n"
        "crash\n"
        "  crash.killed              MUST    A killed handler recovers "
        "(needs a handler that the check starts (--run))\n"
        "\n"
        "4 checks."
    )
    assert list(catalog_texts.list_lines([])) == ["No check is selected."]


def test_explanation_has_all_texts() -> None:
    one = check(level=SHOULD, needs=frozenset({Need.EVENT, Need.DEEP}), why="Because. " * 20)
    text = "\n".join(catalog_texts.explain_lines(one))
    for part in (
        "auth.garbage: A token of garbage is refused\n\n",
        "Level: SHOULD: a failure counts with --strict.",
        "Needs: a handler of events, --deep\n",
        f"Sent: {one.sends}\n",
        f"Expected: {one.expects}\n",
    ):
        assert part in text
    assert text.endswith(f"Fix: {one.fix}")
    assert max(map(len, text.splitlines())) <= 100


def test_control_is_explained() -> None:
    assert "Control: the other checks of the group" in "\n".join(
        catalog_texts.explain_lines(CHECKS[0])
    ).replace("\n", " ")


def test_unknown_id_is_refused_with_similar_ones() -> None:
    assert catalog_texts.find(CHECKS, "auth.garbage") is CHECKS[1]
    with pytest.raises(catalog_texts.UnknownCheck, match=r"Similar: auth\.garbage\.$"):
        catalog_texts.find(CHECKS, "auth.garbge")
    with pytest.raises(catalog_texts.UnknownCheck, match=r"--list shows all checks\.$"):
        catalog_texts.find(CHECKS, "zzz\n" * 100)
