"""Conditions of waits from JSON: see `sandbox.waits.conditions`. No ORM, no Django."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from extensions.definitions import EVENT_TYPES
from requests_queue.suggestions import did_you_mean
from sandbox.waits.condition_kinds import (
    All,
    Any_,
    Attempted,
    Called,
    Idle,
    Never,
    OutOfOrder,
    Several,
    Status,
)
from sandbox.waits.conditions import Condition, ObjectKind, Subject
from sandbox.waits.task_conditions import RESCHEDULE, RESULTS, TaskEnded

MAX_CONDITIONS = 50  # conditions of a wait, nested ones included
MAX_COUNT = 1_000_000


class BadCondition(ValueError):
    """A malformed condition: the path of the wrong value, and a sentence about it."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path, self.message = path, message


class Known(Protocol):
    """What the ids of a condition may name."""

    def has_webhook(self, pk: str) -> bool:
        """Return whether there is a webhook, or was one since the last reset."""

    def kind_of(self, pk: str) -> ObjectKind | None:
        """Return the kind of a request, a usage file or a subscription; None: no such object."""

    def may_have_tasks(self, pk: str) -> bool:
        """Return whether tasks of extensions can be, or were, about an object."""


def parse(data: Any, known: Known, path: str = "until") -> Condition:
    """Return the condition; raises BadCondition, also for ids and statuses that are not known."""
    return _Parser(known).parse(data, path)


def check_webhook(pk: str, path: str, known: Known) -> None:
    """Raise BadCondition if there is no such webhook."""
    if not known.has_webhook(pk):
        raise BadCondition(path, f"Unknown webhook {pk!r}.")


def check_delivered(pk: str, path: str, known: Known) -> None:
    """Raise BadCondition if no webhook can be called about the object."""
    if not _kind_of(pk, path, known).has_deliveries:
        text = f"Webhooks are not called about {pk}. Use the id of one of its requests."
        raise BadCondition(path, text)


def _kind_of(pk: str, path: str, known: Known) -> ObjectKind:
    kind = known.kind_of(pk)
    if kind is None:
        text = f"Unknown object {pk!r}: no request, usage file or subscription has this id."
        raise BadCondition(path, text)
    return kind


# Of the ids that say which attempts or deliveries are meant.
CHECKS = {"webhook": check_webhook, "object": check_delivered}


class _Parser:
    def __init__(self, known: Known) -> None:
        self._known = known
        self._count = 0

    def parse(self, data: Any, path: str) -> Condition:
        self._count += 1
        if self._count > MAX_CONDITIONS:
            raise BadCondition(path, f"A wait has at most {MAX_CONDITIONS} conditions.")
        if not isinstance(data, Mapping) or len(data) != 1:
            raise BadCondition(path, f"Expected an object with one key: {', '.join(_PARSERS)}.")
        [(name, value)] = data.items()
        if name not in _PARSERS:
            text = f"Unknown condition {str(name)[:40]!r}. Available: {', '.join(_PARSERS)}."
            raise BadCondition(path, text + did_you_mean(name, _PARSERS))
        return _PARSERS[name](self, name, value, f"{path}.{name}")

    def attempted(self, name: str, value: Any, path: str) -> Condition:
        values = _values(value, path, ("webhook", "object", "attempts_at_most"))
        at_most = _number(values, "attempts_at_most", path, low=1)
        return Attempted(name, self._subject(values, path), at_most)

    def called(self, name: str, value: Any, path: str) -> Condition:
        values = _values(value, path, ("webhook", "object", "times", "at_least", "at_most"))
        subject = self._subject(values, path)
        times = _number(values, "times", path)
        at_least = _number(values, "at_least", path)
        at_most = _number(values, "at_most", path)
        given = [each is not None for each in (times, at_least, at_most)]
        if times is not None and sum(given) > 1:
            raise BadCondition(path, "Use times, or at_least and at_most.")
        if times is not None:
            return Called(subject, times, times)
        if at_least is None and at_most is None:
            return Called(subject, 1)
        if at_least is not None and at_most is not None and at_least > at_most:
            raise BadCondition(f"{path}.at_least", "Must not be greater than at_most.")
        return Called(subject, at_least or 0, at_most)

    def status(self, name: str, value: Any, path: str) -> Condition:
        values = _values(value, path, ("object", "is"))
        pk = _text(values.get("object"), f"{path}.object")
        status = _text(values.get("is"), f"{path}.is")
        kind = _kind_of(pk, f"{path}.object", self._known)
        if not kind.statuses:
            raise BadCondition(f"{path}.object", f"{pk} has no status.")
        if status not in kind.statuses:
            available = ", ".join(kind.statuses)
            text = f"Unknown status {status!r} of {pk}. Available: {available}."
            raise BadCondition(f"{path}.is", text + did_you_mean(status, kind.statuses))
        return Status(pk, status, kind)

    def idle(self, name: str, value: Any, path: str) -> Condition:
        if value is not True:
            raise BadCondition(path, "Must be true.")
        return Idle()

    def out_of_order(self, name: str, value: Any, path: str) -> Condition:
        pk = _text(value, path)
        check_webhook(pk, path, self._known)
        return OutOfOrder(pk)

    def task(self, name: str, value: Any, path: str) -> Condition:
        names = ("object", "type", "result") if name == "task" else ("object", "type")
        values = _values(value, path, names)
        pk = _text(values.get("object"), f"{path}.object")
        if not self._known.may_have_tasks(pk):
            text = f"No task is about {pk!r}: no object of this id is one that extensions get."
            raise BadCondition(f"{path}.object", text)
        default = "success" if name == "task" else RESCHEDULE
        chosen = {"type": values.get("type"), "result": values.get("result", default)}
        for key, available in (("type", EVENT_TYPES), ("result", RESULTS)):
            word = chosen[key]
            if word is not None and (not isinstance(word, str) or word not in available):
                text = f"Unknown {key} {str(word)[:60]!r}. Available: {', '.join(available)}."
                raise BadCondition(f"{path}.{key}", text + did_you_mean(str(word), available))
        return TaskEnded(pk, **chosen)

    def several(self, name: str, value: Any, path: str) -> Condition:
        if name == "never" and isinstance(value, Mapping):
            return Never([self.parse(value, path)])
        if not isinstance(value, list) or not value:
            raise BadCondition(path, "Expected a list of conditions.")
        parts = [self.parse(part, f"{path}.{n}") for n, part in enumerate(value)]
        return _SEVERAL[name](parts)

    def _subject(self, values: Mapping[str, Any], path: str) -> Subject:
        found: dict[str, str | None] = dict.fromkeys(CHECKS)
        for name, check in CHECKS.items():
            if name in values:
                found[name] = pk = _text(values[name], f"{path}.{name}")
                check(pk, f"{path}.{name}", self._known)
        if not any(found.values()):
            raise BadCondition(path, "A webhook or an object is required.")
        return Subject(**found)


_SEVERAL: dict[str, type[Several]] = {"all": All, "any": Any_, "never": Never}
_PARSERS: dict[str, Callable[[_Parser, str, Any, str], Condition]] = {
    "delivered": _Parser.attempted,
    "failed": _Parser.attempted,
    "called": _Parser.called,
    "status": _Parser.status,
    "idle": _Parser.idle,
    "out_of_order": _Parser.out_of_order,
    "task": _Parser.task,
    "rescheduled": _Parser.task,
    **dict.fromkeys(_SEVERAL, _Parser.several),
}


def _values(value: Any, path: str, names: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadCondition(path, f"Expected an object with {', '.join(names)}.")
    for name in value:
        if name not in names:
            text = f"Unknown key {str(name)[:40]!r}. Available: {', '.join(names)}."
            raise BadCondition(path, text + did_you_mean(name, names))
    return {name: each for name, each in value.items() if each is not None}


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 100 or "\0" in value:
        raise BadCondition(path, "Expected a text of at most 100 characters.")
    return value


def _number(values: Mapping[str, Any], name: str, path: str, low: int = 0) -> int | None:
    value = values.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= MAX_COUNT:
        text = f"Expected a whole number between {low} and {MAX_COUNT}."
        raise BadCondition(f"{path}.{name}", text)
    return value
