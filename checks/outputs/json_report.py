"""The results of checks as JSON, by the schema in report.schema.json, and read again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from checks import json_schema
from checks.lab import Lab
from checks.model import (
    Alternative,
    Check,
    Exhibit,
    InReading,
    Level,
    Need,
    Outcome,
    Report,
    Result,
    Verdict,
)
from checks.outputs.exit_code import conclude
from checks.outputs.marks import counts, mark, reading_mark

FORMAT = 1
# Of the documents of this format. Other programs may rely on it: a new format has its own number.
SCHEMA = Path(__file__).with_name("report.schema.json")

# What reports of earlier versions lack.
_LATER = ("readings", "cause", "is_prerequisite", "trace")


class BadReport(ValueError):
    """A text is no report of this format; the message says where and why, on one line."""


def render(report: Report) -> str:
    """Return the document, indented, in ASCII."""
    return json.dumps(as_json(report), indent=2) + "\n"


def as_json(report: Report) -> dict[str, Any]:
    """Return the report with everything that `read` needs, its verdict and its counts."""
    conclusion = conclude(report)
    return {
        "format": FORMAT,
        "target": report.target,
        "version": report.version,
        "started_at": report.started_at,
        "seconds": report.seconds,
        "seed": report.seed,
        "strict": report.strict,
        "exit_code": int(conclusion.code),
        "conclusion": conclusion.text,
        "counts": {each.value: count for each, count in counts(report).items()},
        "error": report.error,
        "output": report.output,
        "notes": list(report.notes),
        "results": [_result(result, report.strict) for result in report.results],
        "readings": [
            {
                "id": each.alternative.reading,
                "alternative": each.alternative.value,
                "text": each.alternative.text,
                "outcome": each.outcome.value,
                "mark": reading_mark(each, report.strict).value,
                "error": each.error,
                "results": [_result(result, report.strict) for result in each.results],
            }
            for each in report.readings
        ],
    }


def _result(result: Result, strict: bool) -> dict[str, Any]:
    check, verdict = result.check, result.verdict
    return {
        "id": check.id,
        "level": check.level.value,
        "is_control": check.is_control,
        "needs": sorted(need.value for need in check.needs),
        "title": check.title,
        "sends": check.sends,
        "expects": check.expects,
        "why": check.why,
        "fix": check.fix,
        "outcome": verdict.outcome.value,
        "mark": mark(result, strict).value,
        "text": verdict.text,
        "cause": verdict.cause,
        "evidence": [
            {"title": exhibit.title, "lines": list(exhibit.lines)} for exhibit in verdict.evidence
        ],
        "seconds": result.seconds,
        "known_until": result.known_until.isoformat() if result.known_until else None,
        "is_prerequisite": result.is_prerequisite,
        "reproduce": result.reproduce,
        "trace": result.trace,
    }


def read(text: str) -> Report:
    """Return the report of a document; raises BadReport. Its checks cannot be run."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadReport(f"The report is not valid JSON: {error}.") from None
    return from_json(content)


def from_json(content: Any) -> Report:
    """Return the report of a parsed document; raises BadReport."""
    version = content.get("format") if isinstance(content, dict) else None
    if type(version) is not int or version != FORMAT:
        found = repr(version)[:40]
        raise BadReport(f"The report has format {found}; this version reads format {FORMAT}.")
    if found := json_schema.problem(content, schema(), optional=_LATER):
        raise BadReport(f"The report is damaged: {found}.")
    names = ("target", "version", "started_at", "seconds", "seed", "strict", "error", "output")
    return Report(
        **{name: content[name] for name in names},
        results=tuple(map(_read_result, content["results"])),
        notes=tuple(content["notes"]),
        readings=tuple(map(_read_reading, content.get("readings", ()))),
    )


@cache
def schema() -> Any:
    """Return the JSON Schema of the document."""
    return json.loads(SCHEMA.read_text(encoding="utf-8"))


def _read_reading(row: Mapping[str, Any]) -> InReading:
    alternative = Alternative(row["id"], row["alternative"], row["text"])
    return InReading(alternative, tuple(map(_read_result, row["results"])), row["error"])


def _read_result(row: Mapping[str, Any]) -> Result:
    evidence = tuple(Exhibit(each["title"], tuple(each["lines"])) for each in row["evidence"])
    verdict = Verdict(Outcome(row["outcome"]), row["text"], evidence, row.get("cause", ""))
    names = ("id", "title", "sends", "expects", "why", "fix", "is_control")
    check = Check(
        **{name: row[name] for name in names},
        level=Level(row["level"]),
        run=_refuse,
        needs=frozenset(map(Need, row["needs"])),
    )
    until = row["known_until"]
    return Result(
        check,
        verdict,
        row["seconds"],
        row["reproduce"],
        date.fromisoformat(until) if until else None,
        row.get("is_prerequisite", False),
        row.get("trace", ""),
    )


def _refuse(lab: Lab) -> Verdict:
    raise RuntimeError("A check that was read from a report cannot be run.")
