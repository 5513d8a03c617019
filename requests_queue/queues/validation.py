"""`POST …/{id}/validate`: an object is shown to the vendor's handler, which answers with edits.

Three steps: what the object would be with the caller's body is worked out and taken back; the
handlers are asked, outside any transaction; and body and answers are written, if the object is
still where it was. Where a handler fails nothing has been written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from requests_queue import clock
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Product
from requests_queue.errors import ActionNotAllowed, Missing, Refused
from requests_queue.queues import answers
from requests_queue.queues.answers import Reading, WrongAnswer
from requests_queue.queues.base import Queue
from requests_queue.signals import validation_requested

Json = dict[str, Any]
STATUSES = ("draft", "inquiring")


@dataclass(frozen=True, slots=True)
class Validated:
    """A queue whose objects are validated, and the parts of it that this needs."""

    queue: Queue
    # Changes an object by a body, as its PUT does; raises Refused.
    edit: Callable[[str, Mapping[str, Any], Actor], None]
    # Returns an object as its GET shows it.
    shown: Callable[[str], Json]
    # Writes an object's parameters (row, parameters, now).
    write: Callable[[Any, answers.Params, datetime], None]
    # Where bodies and responses have the parameters; the first one counts.
    paths: tuple[tuple[str, ...], ...]
    # Returns whom an object is about, as (label, name) of customers and resellers.
    customers: Callable[[Any], list[tuple[str, str]]]
    # Returns the Markdown that a customer or reseller reads of an object, by its id.
    text: Callable[[str], str]
    # The level of the tiers that an object is of.
    level: Callable[[Any], int | None] = lambda row: None

    def body(self, params: list[Json]) -> Json:
        """Return a body with parameters: of a PUT, a validation, an answer to an inquiry."""
        body: Json = {"params": params}
        for key in reversed(self.paths[0][:-1]):
            body = {key: body}
        return body

    def params_of(self, answer: Mapping[str, Any]) -> Any:
        """Return the parameters of an answer as they are given, None where it has none."""
        for path in self.paths:
            node: Any = answer
            for key in path:
                node = node.get(key) if isinstance(node, Mapping) else None
            if node is not None:
                return node
        return None


@dataclass(frozen=True, slots=True)
class Wanted:
    """An object that is to be validated: `shown` is what its handler is sent."""

    object_class: str
    object_id: str
    product: Product
    vendor_id: str
    kind: str
    status: str
    level: int | None
    shown: Json
    # Returns what an answer says; raises WrongAnswer.
    read: Callable[[Any], Reading]
    # Whether the caller's body changes the object at all.
    edited: bool = False


_validated: dict[str, Validated] = {}


def register(validated: Validated) -> Validated:
    """Add a queue to those that are validated."""
    _validated[validated.queue.object_class] = validated
    return validated


def of(object_class: str) -> Validated | None:
    """Return the queue of that object class if its objects are validated."""
    return _validated.get(object_class)


class Superseded(Refused):
    """A newer validation of the same form has started (409 `VAL_101`, ours)."""

    status = 409

    def __init__(self, pk: str) -> None:
        super().__init__("VAL_101", f"A newer validation of {pk} has started.")


def validate(
    about: Validated,
    pk: str,
    data: Mapping[str, Any],
    actor: Actor,
    is_latest: Callable[[], bool] = lambda: True,
) -> bool:
    """Validate an object, with a body applied to it first; return whether a handler was called.

    Call outside a transaction: this waits for the handler. `is_latest` is called with the object's
    row locked, before anything is written. Raises Missing, IllegalMove (not a draft or an open
    inquiry, or moved meanwhile), Invalid (the body), Superseded (`is_latest` is false), or what
    `validation_wanted` says of a handler that fails (400 `VAL_100`); then nothing is written.
    """
    wanted = _prepared(about, pk, data, actor)
    found: list[Any] = validation_requested.send(sender=about.queue.model, wanted=wanted)
    readings: list[Reading] = [reading for _, each in found for reading in each or ()]
    try:
        _write(about, wanted, data if wanted.edited else {}, actor, readings, is_latest)
    except Refused as refused:
        for reading in readings:
            reading.drop(str(refused))
        raise
    return bool(readings)


def _prepared(about: Validated, pk: str, data: Mapping[str, Any], actor: Actor) -> Wanted:
    """Return what is to be validated: the object as the body would make it."""
    edited = False
    with transaction.atomic():
        before = about.shown(pk)
        _check_status(pk, before["status"])
        shown = before
        if data:
            about.edit(pk, data, actor)
            shown = about.shown(pk)
            edited = _timeless(shown) != _timeless(before)
        row = about.queue.model._default_manager.select_related("product").get(pk=pk)
        transaction.set_rollback(True)

    return Wanted(
        about.queue.object_class, pk, row.product, row.vendor_id, shown["type"], shown["status"],
        about.level(row), shown, lambda answer: read(about, shown, answer), edited,
    )  # fmt: skip


def _check_status(pk: str, status: str) -> None:
    if status not in STATUSES:
        raise ActionNotAllowed(f"{pk} is {status}: validate is for {' or '.join(STATUSES)} only.")


def _timeless(node: Any) -> Any:
    """Return an object without the dates of its last change."""
    if isinstance(node, Mapping):
        return {key: _timeless(value) for key, value in node.items() if key != "updated"}
    return node


def read(about: Validated, sent: Json, answer: Any) -> Reading:
    """Return what an answer says of the object that was sent; raises WrongAnswer."""
    if not isinstance(answer, Mapping):
        raise WrongAnswer("the body is not an object. A validator returns the object as JSON.")
    for name, pk in _named(sent, answer):
        if pk is not None:
            raise WrongAnswer(f"the body is another object: its {name} is {str(pk)[:40]!r}.")
    params = about.params_of(sent)
    reading = answers.read(params, about.params_of(answer))
    heads = {path[0] for path in about.paths}
    reading.ignored += _overruled(sent, answer, "", {"id", *heads})
    for key in heads - {"params"}:
        given = answer.get(key)
        if isinstance(given, Mapping):
            reading.ignored += _overruled(sent[key], given, f"{key}.", {"id", "params"})
    return reading


def _named(sent: Json, answer: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the ids in an answer that aren't those of what was sent, by name."""
    found = [("id", answer.get("id"))] if answer.get("id") != sent["id"] else []
    for key in ("asset", "configuration"):
        given = answer.get(key)
        if key in sent and isinstance(given, Mapping) and given.get("id") != sent[key]["id"]:
            found.append((f"{key}.id", given.get("id")))
    return found


def _overruled(sent: Json, answer: Mapping[str, Any], prefix: str, but: set[str]) -> list[str]:
    """Return the names of what an answer has otherwise, though a validation never changes it."""
    return [f"{prefix}{key}" for key, value in answer.items()
            if key not in but and value != sent.get(key)]  # fmt: skip


def _write(
    about: Validated, wanted: Wanted, data: Mapping[str, Any], actor: Actor,
    readings: list[Reading], is_latest: Callable[[], bool],
) -> None:  # fmt: skip
    """Write what body and answers change; raises IllegalMove where the object has moved on."""
    if not data and not readings:
        return
    pk = wanted.object_id
    with transaction.atomic():
        rows = about.queue.model._default_manager.select_for_update()
        # Its parameters are what the two queues have beyond the others.
        row: Any = rows.filter(pk=pk).first()
        if row is None:
            raise Missing(pk)
        if row.status != wanted.status:
            raise ActionNotAllowed(
                f"{pk} has been moved to {row.status} while it was validated: the validator's "
                f"answer comes too late."
            )
        if not is_latest():
            raise Superseded(pk)
        if data:
            about.edit(pk, data, actor)
            row.refresh_from_db()
        merged = answers.merge(row.params, readings)
        if merged != row.params:
            about.write(row, merged, clock.now())
