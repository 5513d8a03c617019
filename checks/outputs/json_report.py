"""The results of checks as JSON, by the schema in report.schema.json, and read again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

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

_T = TypeVar("_T")
_E = TypeVar("_E", bound=StrEnum)


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
    fields = _Fields(content, "report")
    if (version := fields.value("format", int)) != FORMAT:
        raise BadReport(f"The report has format {version}; this version reads format {FORMAT}.")
    return Report(
        target=fields.value("target", str),
        version=fields.value("version", str),
        started_at=fields.parsed("started_at", _moment),
        seconds=fields.number("seconds"),
        seed=fields.value("seed", int),
        strict=fields.value("strict", bool),
        results=tuple(map(_read_result, fields.parts("results"))),
        error=fields.value("error", str),
        output=fields.value("output", str),
        notes=fields.texts("notes"),
        # Reports of earlier versions lack them.
        readings=tuple(map(_read_reading, fields.parts("readings")))
        if fields.has("readings")
        else (),
    )


def _read_reading(fields: _Fields) -> InReading:
    return InReading(
        Alternative(
            fields.value("id", str), fields.value("alternative", str), fields.value("text", str)
        ),
        tuple(map(_read_result, fields.parts("results"))),
        fields.value("error", str),
    )


def _read_result(fields: _Fields) -> Result:
    return Result(
        check=_read_check(fields),
        verdict=Verdict(
            fields.choice("outcome", Outcome),
            fields.value("text", str),
            tuple(
                Exhibit(each.value("title", str), each.texts("lines"))
                for each in fields.parts("evidence")
            ),
            # Reports of earlier versions lack it, and the one below.
            fields.value("cause", str) if fields.has("cause") else "",
        ),
        seconds=fields.number("seconds"),
        reproduce=fields.value("reproduce", str),
        known_until=(
            None
            if fields.value("known_until", str | None) is None
            else fields.parsed("known_until", date.fromisoformat)
        ),
        is_prerequisite=(
            fields.value("is_prerequisite", bool) if fields.has("is_prerequisite") else False
        ),
        trace=fields.value("trace", str) if fields.has("trace") else "",
    )


def _read_check(fields: _Fields) -> Check:
    return Check(
        id=fields.value("id", str),
        level=fields.choice("level", Level),
        title=fields.value("title", str),
        sends=fields.value("sends", str),
        expects=fields.value("expects", str),
        why=fields.value("why", str),
        fix=fields.value("fix", str),
        run=_refuse,
        is_control=fields.value("is_control", bool),
        needs=frozenset(fields.choices("needs", Need)),
    )


def _refuse(lab: Lab) -> Verdict:
    raise RuntimeError("A check that was read from a report cannot be run.")


def _moment(text: str) -> str:
    datetime.fromisoformat(text)
    return text


class _Fields:
    """The fields of a JSON object, whose place is named by errors; each raises BadReport."""

    def __init__(self, content: Any, place: str) -> None:
        if not isinstance(content, dict):
            raise BadReport(f"{place} is not an object.")
        self._content: Mapping[str, Any] = content
        self._place = place

    def has(self, key: str) -> bool:
        """Return whether there is a value."""
        return key in self._content

    def value(self, key: str, kind: Any) -> Any:
        """Return a value of a type; `true` is no number."""
        place = f"{self._place}.{key}"
        if key not in self._content:
            raise BadReport(f"{place} is missing.")
        return _typed(self._content[key], kind, place)

    def number(self, key: str) -> float:
        """Return a number that is not negative."""
        number = self.value(key, int | float)
        if not 0 <= number < float("inf"):
            raise BadReport(f"{self._place}.{key} is not a number of seconds.")
        return float(number)

    def parsed(self, key: str, parse: Callable[[str], _T]) -> _T:
        """Return what a text means."""
        text = self.value(key, str)
        try:
            return parse(text)
        except ValueError:
            raise BadReport(f"{self._place}.{key} is not valid: {text[:40]!r}.") from None

    def choice(self, key: str, choices: type[_E]) -> _E:
        """Return a member of an enumeration."""
        return self.parsed(key, choices)

    def choices(self, key: str, choices: type[_E]) -> list[_E]:
        """Return several members of an enumeration."""
        texts = self.texts(key)
        each = (_Fields({"": text}, f"{self._place}.{key}") for text in texts)
        return [one.choice("", choices) for one in each]

    def texts(self, key: str) -> tuple[str, ...]:
        values = self.value(key, list)
        place = f"{self._place}.{key}"
        return tuple(_typed(value, str, f"{place}[{i}]") for i, value in enumerate(values))

    def parts(self, key: str) -> list[_Fields]:
        """Return the fields of each object of a list."""
        values = self.value(key, list)
        return [_Fields(value, f"{self._place}.{key}[{i}]") for i, value in enumerate(values)]


def _typed(value: Any, kind: Any, place: str) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise BadReport(f"{place} has the wrong type.")
    return value
