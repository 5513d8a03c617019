"""The results of checks in Markdown, for the summary of a GitHub Actions job.

There are no annotations (`::error`): a check of a handler has no file and line to annotate.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path

from checks.model import InReading, Report, Result
from checks.outputs.exit_code import ExitCode, conclude
from checks.outputs.marks import Finding, counts_text, findings, reading_mark
from checks.outputs.texts import one_line, shortened

# GitHub shows no summary of a step that has more than 1 MiB.
LONGEST = 500_000  # characters
_ICONS = {ExitCode.PASS: "✅", ExitCode.FAIL: "❌", ExitCode.NO_VERDICT: "⚠️"}
_SPECIAL = re.compile(r"[&<>\\`*_~\[\]|$]")


def append(text: str, path: Path) -> None:
    """Append a summary to the file that GITHUB_STEP_SUMMARY names; raises OSError."""
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def render(report: Report) -> str:
    """Return the summary: verdict, counts, a table of failures, and their details."""
    conclusion = conclude(report)
    lines = [
        f"## {_ICONS[conclusion.code]} connect-sim check: {conclusion.code.word}",
        "",
        f"Handler: {escaped(report.target)}  ",
        f"Verdict: {escaped(conclusion.text)}  ",
        f"Results: {counts_text(report)}",
        "",
    ]
    lines += [f"- Note: {escaped(note)}" for note in report.notes]
    if failures := findings(report):
        lines += ["", "| Check | Level | Found |", "|---|---|---|"]
        lines += [_row(each) for each in failures]
        lines += ["", *all_details([each.first for each in failures])]
    if report.readings:
        lines += ["", "| Reading | Result | Failed checks |", "|---|---|---|"]
        lines += [_reading_row(each, report.strict) for each in report.readings]
        failed = [result for each in report.readings for result in each.failures]
        lines += ["", *all_details(failed)]
    return "\n".join(lines).rstrip("\n") + "\n\n"


def _row(finding: Finding) -> str:
    results = (finding.first, *finding.others)
    ids = ", ".join(each.check.id for each in results)
    levels = ", ".join(sorted({each.check.level.value for each in results}))
    return f"| {escaped(ids)} | {levels} | {escaped(finding.text)} |"


def _reading_row(found: InReading, strict: bool) -> str:
    ids = ", ".join(each.check.id for each in found.failures)
    shown = reading_mark(found, strict).value
    return f"| {escaped(found.alternative.choice)} | {shown} | {escaped(ids)} |"


def all_details(failures: list[Result]) -> Iterator[str]:
    """Yield the details of failures, as many as there is room for."""
    left = LONGEST
    for number, failure in enumerate(failures):
        details = "\n".join(_details(failure))
        left -= len(details)
        if left < 0:
            yield f"Details of {len(failures) - number} more failures are left out."
            return
        yield details


def _details(result: Result) -> Iterator[str]:
    """Yield the lines of a folded part, in HTML, whose text Markdown doesn't read."""
    check = result.check
    texts = {"Sent": check.sends, "Expected": check.expects, "Why": check.why, "Fix": check.fix}
    yield f"<details><summary>{_html(f'{check.id}: {check.title}')}</summary>"
    # After an empty line, <pre> begins a block that may have empty lines itself.
    yield from ("", "<pre>")
    for exhibit in result.verdict.evidence:
        yield f"{_html(exhibit.title)}:"
        yield from (f"  {_html(line)}" for line in shortened(exhibit))
    yield from (f"{name}: {_html(text)}" for name, text in texts.items())
    yield f"Reproduce: {_html(result.reproduce)}"
    yield from ("</pre>", "", "</details>", "")


def escaped(text: str) -> str:
    """Return a text for a paragraph or a cell; what Markdown would read becomes an entity."""
    return _SPECIAL.sub(lambda match: f"&#{ord(match[0])};", one_line(text))


def _html(text: str) -> str:
    return escape(one_line(text), quote=False)
