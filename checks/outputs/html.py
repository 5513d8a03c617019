"""The results of checks as one HTML file: light and dark, without scripts and network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from datetime import datetime
from html import escape
from pathlib import Path

from checks.model import Exhibit, InReading, Report, Result
from checks.outputs.exit_code import ExitCode, conclude
from checks.outputs.marks import Finding, Mark, counts, findings, groups, mark, reading_mark
from checks.outputs.texts import evidence_lines
from requests_queue.safe_text import visible
from requests_queue.time_format import format_moment, format_span

STYLESHEET = Path(__file__).with_name("report.css")
_VERDICTS = {ExitCode.PASS: "good", ExitCode.FAIL: "bad", ExitCode.NO_VERDICT: "none"}


def render(report: Report) -> str:
    style = STYLESHEET.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(f"\n{style}".encode()).digest()).decode()
    # The policy lets the browser load and run nothing, should an error in here let markup through.
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'sha256-{digest}'; form-action 'none'; base-uri 'none'">
<title>{conclude(report).code.word}: checks of {_text(report.target)}</title>
<style>
{style}</style>
</head>
<body>
<main>
{_head(report)}
{_problems(report)}
<dl class="facts">{_join(_facts(report))}</dl>
{_output(report)}
{_join(_group(report, name, each) for name, each in groups(report.results).items())}
{_readings(report)}
</main>
</body>
</html>
"""


def _head(report: Report) -> str:
    conclusion = conclude(report)
    notes = (f"<p>{_text(note)}</p>" for note in report.notes)
    return f"""<header class="verdict verdict-{_VERDICTS[conclusion.code]}">
<p class="product">Connect Sim check</p>
<h1>{conclusion.code.word}</h1>
<p class="lead">{_text(conclusion.text)}</p>
{_counts(report)}
{_join(notes)}
</header>"""


def _counts(report: Report) -> str:
    items = _join(
        f'<li class="{each}">{escape(each.symbol)} {each.counted(count)}</li>'
        for each, count in counts(report).items()
        if count
    )
    return f'<ul class="counts">{items}</ul>' if items else ""


def _facts(report: Report) -> Iterable[str]:
    facts = {
        "Handler": report.target,
        "Started": format_moment(datetime.fromisoformat(report.started_at)),
        "Duration": format_span(report.seconds),
        "Failures that count": "MUST and SHOULD" if report.strict else "MUST",
        "Seed": str(report.seed),
        "Connect Sim": report.version,
    }
    return (f"<div><dt>{name}</dt><dd>{_text(text)}</dd></div>" for name, text in facts.items())


def _problems(report: Report) -> str:
    """Return links to the failures and warnings, by cause."""
    items = _join(_finding(report, each) for each in findings(report))
    if not items:
        return ""
    return f"""<nav aria-labelledby="failures">
<h2 id="failures">Failures</h2>
<ul>{items}</ul>
</nav>"""


def _finding(report: Report, finding: Finding) -> str:
    shown, check_id = mark(finding.first, report.strict), _text(finding.first.check.id)
    others = _join(
        f'<a class="id" href="#{_text(each.check.id)}">{_text(each.check.id)}</a>'
        for each in finding.others
    )
    same = f"<p>{_text(finding.text)} The same cause: {others}</p>" if others else ""
    return f"""<li><span class="{shown}">{escape(shown.symbol)} {shown}</span>
<a href="#{check_id}">{_text(finding.first.check.title)}</a> <span class="id">{check_id}</span>
{same}</li>"""


def _output(report: Report) -> str:
    if not report.output:
        return ""
    is_open = " open" if report.error else ""
    return f"""<details class="output"{is_open}>
<summary><span class="title">End of the handler's output</span></summary>
<div class="body">{_pre(report.output)}</div>
</details>"""


def _group(report: Report, name: str, results: list[Result]) -> str:
    firsts = {each.first.check.id for each in findings(report)}
    results_html = _join(
        _result(each, mark(each, report.strict), is_open=each.check.id in firsts)
        for each in results
    )
    heading = f"group-{_text(name)}"
    return f"""<section aria-labelledby="{heading}">
<h2 id="{heading}">{_text(name)}</h2>
{results_html}
</section>"""


def _result(result: Result, shown: Mark, *, is_open: bool) -> str:
    check = result.check
    note = f" Known until {result.known_until}." if shown is Mark.KNOWN else ""
    attribute = " open" if is_open else ""
    time = f'<span class="time">{format_span(result.seconds)}</span>' if result.seconds else ""
    return f"""<details id="{_text(check.id)}"{attribute}>
<summary>
<span class="mark {shown}">{escape(shown.symbol)} {shown}</span>
<span class="title">{_text(check.title)} <span class="id">{_text(check.id)}</span></span>
<span class="level">{check.level}</span>{time}
</summary>
<div class="body">
{_body(result, note)}
</div>
</details>"""


def _body(result: Result, note: str = "") -> str:
    check = result.check
    return f"""<p class="found">{_text(result.verdict.text)}{note}</p>
{_join(map(_exhibit, result.verdict.evidence))}
<dl>
<div><dt>Sent</dt><dd>{_text(check.sends)}</dd></div>
<div><dt>Expected</dt><dd>{_text(check.expects)}</dd></div>
<div><dt>Why</dt><dd>{_text(check.why)}</dd></div>
<div><dt>Fix</dt><dd>{_text(check.fix)}</dd></div>
<div><dt>Reproduce</dt><dd><code>{_text(result.reproduce)}</code></dd></div>
</dl>"""


def _readings(report: Report) -> str:
    """Return the alternatives of readings, with the failures that they cause."""
    if not report.readings:
        return ""
    return f"""<section aria-labelledby="readings">
<h2 id="readings">In other readings</h2>
{_join(_reading(each, reading_mark(each, report.strict)) for each in report.readings)}
</section>"""


def _reading(found: InReading, shown: Mark) -> str:
    choice, text = _text(found.alternative.choice), _text(found.alternative.text)
    title = f'<span class="title">{text} <span class="id">{choice}</span></span>'
    symbol = f'<span class="mark {shown}">{escape(shown.symbol)} {shown}</span>'
    failures = _join(
        f"<h3>{_text(each.check.title)} ({_text(each.check.id)})</h3>\n{_body(each)}"
        for each in found.failures
    )
    attribute = " open" if failures else ""
    checks = ", ".join(each.check.id for each in found.results) or "none"
    return f"""<details id="{choice}"{attribute}>
<summary>{symbol}{title}</summary>
<div class="body"><p>Checks: {_text(checks)}.</p>
{failures}</div>
</details>"""


def _exhibit(exhibit: Exhibit) -> str:
    return f"<h3>{_text(exhibit.title)}</h3>\n{_pre(_join(evidence_lines(exhibit)))}"


def _pre(text: str) -> str:
    # Browsers drop the first line break.
    return f"<pre>\n{_text(text)}</pre>"


def _text(text: str) -> str:
    """Return a text for content and attributes, with control characters made visible."""
    return escape(visible(text))


def _join(parts: Iterable[str]) -> str:
    return "\n".join(parts)
