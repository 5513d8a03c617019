"""Notes on what a handler did because of an attempt, in words and with a stable code each.

| code | text |
|---|---|
| `no_api_calls` | Returned 200 but made no API calls. |
| `still_pending` | Returned 200, but PR-… is still pending. |
| `rejected` | approve was rejected: 400 REQ_003 … |
| `other_product` | approve was called for PR-… of PRD-…, but the webhook is for PRD-…. |

The first two say what a handler has not done, so they are derived only when it has had the time:
see `handler_activity`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

NO_API_CALLS, STILL_PENDING = "no_api_calls", "still_pending"
REJECTED, OTHER_PRODUCT = "rejected", "other_product"
MAX_REJECTED = 10  # notes on rejected calls of one attempt
_MAX_MESSAGE = 300  # characters of an API error

_PREFIX = "/public/v1"
_ACTION = re.compile(r"/(?P<id>[A-Z]{2,6}-[\d-]+)/(?P<name>[a-z][a-z_-]*)$")
_OBJECT = re.compile(r"/([A-Z]{2,6}-[\d-]+)(?=/|$)")
_PAST = {"submit": "submitted"}


@dataclass(frozen=True, slots=True)
class Note:
    """A note; `call` and `object` are the ids of what it is about."""

    code: str
    text: str
    call: int | None = None
    object: str | None = None


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """Whether an object is as an attempt's event left it, and waits for the webhook's account."""

    id: str
    status: str
    is_waiting: bool


@dataclass(frozen=True, slots=True)
class AttemptFacts:
    """What the notes need of an attempt.

    `expects_calls`: it is of a webhook for events, whose handler works by the API. `is_settled`:
    the handler has had the time to do so.
    """

    status_code: int | None
    is_success: bool
    expects_calls: bool
    is_settled: bool
    product: str
    objects: Sequence[ObjectFacts] = ()

    @property
    def is_silent(self) -> bool:
        """Return whether its handler should have called the API by now."""
        return self.is_success and self.expects_calls and self.is_settled


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What the notes need of an API call."""

    id: int
    method: str
    path: str
    status: int
    error_code: str
    response_body: str

    @property
    def is_failed(self) -> bool:
        """Return whether the API refused the call."""
        return self.status >= 400

    @property
    def action(self) -> tuple[str, str] | None:
        """Return the name of the action that it runs and the object's id, or None."""
        match = _ACTION.search(self.path) if self.method == "POST" else None
        return (match["name"], match["id"]) if match else None

    @property
    def target(self) -> str | None:
        """Return the last object that the path names, or None."""
        ids = _OBJECT.findall(self.path)
        return ids[-1] if ids else None

    @property
    def title(self) -> str:
        """Return method and path without the API's prefix."""
        return f"{self.method} {self.path.removeprefix(_PREFIX) or '/'}"

    @property
    def name(self) -> str:
        """Return the action's name, or the title of another call."""
        return self.action[0] if self.action else self.title


def derive(
    attempt: AttemptFacts, calls: Sequence[CallFacts], products: dict[str, str]
) -> list[Note]:
    """Return the notes of an attempt; `products` are those of the objects that its calls change."""
    notes = [
        _other_product(call, products[call.target], attempt.product)
        for call in calls
        if call.method != "GET"
        and call.target in products
        and products[call.target] != attempt.product
    ]
    notes += [_rejected(call) for call in calls if call.is_failed][:MAX_REJECTED]
    if attempt.is_silent:
        status = attempt.status_code
        if not calls:
            notes.append(Note(NO_API_CALLS, f"Returned {status} but made no API calls."))
        notes += [
            Note(
                STILL_PENDING,
                f"Returned {status}, but {each.id} is still {each.status}.",
                object=each.id,
            )
            for each in attempt.objects
            if each.is_waiting
        ]
    return notes


def _other_product(call: CallFacts, product: str, own: str) -> Note:
    text = f"{call.name} was called for {call.target} of {product}, but the webhook is for {own}."
    return Note(OTHER_PRODUCT, text, call.id, call.target)


def _rejected(call: CallFacts) -> Note:
    what = "was rejected" if call.status < 500 else "failed"
    details = " ".join(
        part for part in (str(call.status), call.error_code, message(call.response_body)) if part
    )
    return Note(REJECTED, f"{call.name} {what}: {details}", call.id, call.target)


def message(body: str) -> str:
    """Return the sentences of an API error."""
    try:
        errors: Any = json.loads(body)["errors"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return ""
    text = " ".join(map(str, errors)) if isinstance(errors, list) else ""
    return text if len(text) <= _MAX_MESSAGE else f"{text[:_MAX_MESSAGE]}…"


def summarize(calls: Sequence[CallFacts], *, is_silent: bool) -> str:
    """Return a few words: `approved PR-…`, `2 API calls, 1 failed`, `no API calls`.

    `is_silent`: calls were expected, and the handler has had the time to make them.
    """
    if not calls:
        return "no API calls" if is_silent else ""
    count = f"{len(calls)} API call{'s' if len(calls) > 1 else ''}"
    if failed := sum(call.is_failed for call in calls):
        return f"{count}, {failed} failed"
    return _done(call.action for call in calls) or count


def _done(actions: Iterable[tuple[str, str] | None]) -> str:
    done = [action for action in actions if action]
    names = {name for name, _ in done}
    if len(names) != 1:
        return ""
    [name] = names
    objects = list(dict.fromkeys(pk for _, pk in done))
    about = objects[0] if len(objects) == 1 else f"{len(objects)} objects"
    return f"{past(name)} {about}"


def past(name: str) -> str:
    """Return the past participle of an action's name."""
    return _PAST.get(name) or f"{name}{'d' if name.endswith('e') else 'ed'}"
