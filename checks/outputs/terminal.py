"""The results of checks for a terminal: a line per check, details of failures, a summary."""

from __future__ import annotations

import os
import shlex
import textwrap
from collections.abc import Iterator, Mapping
from typing import TextIO

from checks.model import Report, Result
from checks.outputs.exit_code import ExitCode, conclude
from checks.outputs.marks import (
    Finding,
    Mark,
    counts_text,
    findings,
    groups,
    mark,
    marked,
    reading_mark,
)
from checks.outputs.terminal_lines import DIM, GREEN, RED, YELLOW, paint
from checks.outputs.texts import one_line, shortened, without_command

_WIDTH = 100
# Characters of a line of the summary.
_LINE = 160
_COLORS = {
    Mark.PASS: GREEN,
    Mark.FAIL: RED,
    Mark.WARNING: YELLOW,
    Mark.KNOWN: YELLOW,
    Mark.INCONCLUSIVE: YELLOW,
    Mark.SKIPPED: DIM,
}
_VERDICT_COLORS = {ExitCode.PASS: GREEN, ExitCode.FAIL: RED, ExitCode.NO_VERDICT: YELLOW}
_PLAIN = str.maketrans({"…": "...", "•": "*", "→": "->", "×": "x", "–": "-"})
# A line, and its color.
Line = tuple[str, str]


def write(report: Report, out: TextIO, environ: Mapping[str, str] = os.environ) -> None:
    """Print the results, in color on a terminal (not with NO_COLOR).

    Characters that the stream can't encode are escaped, and what a CI service would take for a
    command.
    """
    encoding = out.encoding or "utf-8"
    is_colored = out.isatty() and not environ.get("NO_COLOR")
    is_plain = not _can_encode(encoding)
    for text, color in lines(report, is_plain):
        plain = text.translate(_PLAIN) if is_plain else text
        # Also where the stream's encoding has most characters, but not this one.
        encodable = plain.encode(encoding, "backslashreplace").decode(encoding)
        safe = without_command(encodable)
        out.write(f"{paint(safe, color) if is_colored and color else safe}\n")
    out.flush()


def _can_encode(encoding: str) -> bool:
    try:
        "".join(each.symbol for each in Mark).encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def lines(report: Report, is_plain: bool = False) -> Iterator[Line]:
    """Yield the lines and their colors; the symbols are of ASCII if the stream needs that."""
    yield one_line(f"Checks of {report.target}, seed {report.seed}"), ""
    for group, results in groups(report.results).items():
        yield "", ""
        yield group, ""
        yield from (_row(result, report, is_plain) for result in results)
    yield from _details(report, is_plain)
    if report.output and (report.error or marked(report, Mark.FAIL)):
        yield "", ""
        yield "The handler's output ends with:", ""
        yield from (
            (f"  | {one_line(line)}".rstrip(), DIM)
            for line in report.output.rstrip("\n").split("\n")
        )
    yield from _readings(report, is_plain)
    yield from _summary(report)
    yield "", ""
    yield from ((one_line(note), YELLOW) for note in report.notes)
    conclusion = conclude(report)
    text = f"{conclusion.code.word}: {one_line(conclusion.text)}"
    yield text, _VERDICT_COLORS[conclusion.code]
    yield f"{counts_text(report)}.", ""


def _row(result: Result, report: Report, is_plain: bool) -> Line:
    """Return the line of a check; the duration is that of its run."""
    shown, check = mark(result, report.strict), result.check
    note = f" (until {result.known_until})" if shown is Mark.KNOWN else ""
    symbol = shown.ascii_symbol if is_plain else shown.symbol
    time = f"{result.seconds:6.1f} s" if shown is not Mark.SKIPPED else " " * 8
    text = (
        f"  {symbol} {shown.value:12} {check.level.value:6} {time}  {check.id}: {check.title}{note}"
    )
    return one_line(text), _COLORS[shown]


def _details(report: Report, is_plain: bool) -> Iterator[Line]:
    for finding in findings(report):
        yield "", ""
        yield from _failure(finding, mark(finding.first, report.strict), is_plain)
    for shown, heading in (
        (Mark.KNOWN, "Known failures"),
        (Mark.INCONCLUSIVE, "Inconclusive"),
        (Mark.SKIPPED, "Skipped"),
    ):
        if results := marked(report, shown):
            yield "", ""
            yield f"{heading}:", _COLORS[shown]
            yield from _reasons(results)


def _failure(finding: Finding, shown: Mark, is_plain: bool) -> Iterator[Line]:
    result, check = finding.first, finding.first.check
    symbol = shown.ascii_symbol if is_plain else shown.symbol
    heading = f"{symbol} {shown.value}: {check.id} ({check.level.value}): {check.title}"
    yield one_line(heading), _COLORS[shown]
    yield from _prose("", result.verdict.text)
    yield from _prose("Sent: ", check.sends)
    yield from _prose("Expected: ", check.expects)
    for exhibit in result.verdict.evidence:
        yield f"  {one_line(exhibit.title)}:", ""
        yield from ((f"    | {one_line(line)}".rstrip(), DIM) for line in shortened(exhibit))
    yield from _prose("Why: ", check.why)
    yield from _prose("Fix: ", check.fix)
    if finding.others:
        ids = ", ".join(each.check.id for each in finding.others)
        yield from _prose("The same cause: ", f"{finding.text} ({ids})")
    yield f"  Reproduce: {one_line(result.reproduce)}", ""
    if result.trace:
        yield f"  Trace: {one_line(f'connect-sim trace {shlex.quote(result.trace)}')}", ""


def _readings(report: Report, is_plain: bool) -> Iterator[Line]:
    """Yield a line for each alternative, with the failures that it causes."""
    if report.readings:
        yield "", ""
        yield "In other readings:", ""
    for found in report.readings:
        shown = reading_mark(found, report.strict)
        symbol = shown.ascii_symbol if is_plain else shown.symbol
        yield f"  {symbol} {shown.value:12} {found.alternative.choice}", _COLORS[shown]
        if found.failures:
            yield from _prose("", found.alternative.text)
        for result in found.failures:
            yield from _failure(Finding(result), shown, is_plain)


def _summary(report: Report) -> Iterator[Line]:
    """Yield a line for each cause of failures, and the names of what is inconclusive."""
    failures = findings(report)
    unknown = [each.check.id for each in marked(report, Mark.INCONCLUSIVE)]
    if failures or unknown:
        yield "", ""
        yield "In short:", ""
    for finding in failures:
        check, shown = finding.first.check, mark(finding.first, report.strict)
        more = f" and {len(finding.others)} more" if finding.others else ""
        line = one_line(f"  {shown.value:8} {check.level.value:6} {check.id}{more}: {finding.text}")
        yield (line if len(line) <= _LINE else f"{line[:_LINE]}…"), _COLORS[shown]
    if unknown:
        yield f"  {Mark.INCONCLUSIVE.counted(len(unknown))}: {', '.join(unknown)}", YELLOW


def _reasons(results: list[Result]) -> Iterator[Line]:
    """Yield each reason once, with the checks that have it."""
    ids: dict[str, list[str]] = {}
    for result in results:
        ids.setdefault(one_line(result.verdict.text), []).append(result.check.id)
    for text, names in ids.items():
        yield from _prose(f"{', '.join(names)}: ", text)


def _prose(label: str, text: str) -> Iterator[Line]:
    wrapped = textwrap.wrap(
        one_line(label + text),
        _WIDTH,
        initial_indent="  ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    yield from ((line, "") for line in wrapped)
