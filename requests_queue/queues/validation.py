"""`POST …/{id}/validate`: the vendor's handler gets the object and responds with edits.

In three steps: apply the caller's body in a transaction and roll it back; send the result to the
handlers, outside any transaction; write body and responses, if the status has not changed. Nothing
is written if a handler fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from requests_queue import clock
from requests_queue.api.json_paths import value_at
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Product
from requests_queue.db.rows import get_row
from requests_queue.errors import ActionNotAllowed, Refused
from requests_queue.queues import services, validator_responses
from requests_queue.queues.base import Queue
from requests_queue.queues.services import Service
from requests_queue.queues.validator_responses import InvalidResponse, ParsedResponse
from requests_queue.signals import validation_requested

Json = dict[str, Any]
STATUSES = ("draft", "inquiring")


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated(Service):
    """The functions of a queue whose objects are validated."""

    queue: Queue
    edit: Callable[[str, Mapping[str, Any], Actor], Any]
    # Raises Refused for an object that `edit` can't change now.
    check_updatable: Callable[[Any], None]
    # The same by the body of a validation.
    apply: Callable[[str, Mapping[str, Any], Actor], Any]
    text: Callable[[Any], str]
    # Writes an object's parameters (row, parameters, now).
    write: Callable[[Any, validator_responses.Params, datetime], None]
    # Where bodies and responses have the parameters; the first one counts.
    paths: tuple[tuple[str, ...], ...]
    # Returns (label, name) of the customers and resellers of an object.
    customers: Callable[[Any], list[tuple[str, str]]]
    # Returns the tier level of an object, if it has one.
    level: Callable[[Any], int | None] = lambda row: None

    def get(self, pk: str) -> Any:
        """Return an object with all that its representation needs; raises Missing."""
        return get_row(self.complete(self.queue.model._default_manager.all()), pk)

    def shown(self, pk: str) -> Json:
        """Return the representation of an object; raises Missing."""
        return self.represent(self.get(pk))

    def body(self, params: list[Json]) -> Json:
        """Return a body with parameters, for PUT, validate and pend."""
        body: Json = {"params": params}
        for key in reversed(self.paths[0][:-1]):
            body = {key: body}
        return body

    def params_of(self, response: Mapping[str, Any]) -> Any:
        """Return the unchecked parameters of a response, None if it has none."""
        values = (value_at(response, path) for path in self.paths)
        return next((value for value in values if value is not None), None)


@dataclass(frozen=True, slots=True)
class ValidationRequest:
    """A validation of an object; `shown` is the body of the request to its handler."""

    object_class: str
    object_id: str
    product: Product
    vendor_id: str
    kind: str
    status: str
    level: int | None
    shown: Json
    # Parses a response; raises InvalidResponse.
    read: Callable[[Any], ParsedResponse]
    # Whether the caller's body changes the object.
    edited: bool = False


def find(object_class: str) -> Validated | None:
    """Return the functions of an object class, None where its objects are not validated."""
    service = services.registered(object_class)
    return service if isinstance(service, Validated) else None


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
    """Apply a body to an object and validate it; return whether a handler was called.

    Call outside a transaction: this waits for the handler. `is_latest` is called with the object's
    row locked, before anything is written. Raises Missing, ActionNotAllowed (not a draft or an
    open inquiry, or its status has changed), Invalid (the body), Superseded (`is_latest` is false),
    or Refused `VAL_100` for a failing handler; then nothing is written.
    """
    request = _prepared(about, pk, data, actor)
    results: list[Any] = validation_requested.send(sender=about.queue.model, request=request)
    responses: list[ParsedResponse] = [parsed for _, each in results for parsed in each or ()]
    try:
        _write(about, request, data if request.edited else {}, actor, responses, is_latest)
    except Refused as refused:
        for parsed in responses:
            parsed.drop(str(refused))
        raise
    return bool(responses)


def _prepared(
    about: Validated, pk: str, data: Mapping[str, Any], actor: Actor
) -> ValidationRequest:
    """Return the validation of the object with the body applied; changes nothing."""
    edited = False
    with transaction.atomic():
        before = about.shown(pk)
        if before["status"] not in STATUSES:
            raise ActionNotAllowed(
                f"{pk} is {before['status']}: validate is for {' or '.join(STATUSES)} only."
            )
        shown = before
        if data:
            about.apply(pk, data, actor)
            shown = about.shown(pk)
            edited = _timeless(shown) != _timeless(before)
        row = about.queue.model._default_manager.select_related("product").get(pk=pk)
        transaction.set_rollback(True)

    return ValidationRequest(
        about.queue.object_class,
        pk,
        row.product,
        row.vendor_id,
        shown["type"],
        shown["status"],
        about.level(row),
        shown,
        lambda response: read(about, shown, response),
        edited,
    )


def _timeless(node: Any) -> Any:
    """Return a representation without the dates of its last change."""
    if isinstance(node, Mapping):
        return {key: _timeless(value) for key, value in node.items() if key != "updated"}
    return node


def read(about: Validated, sent: Json, response: Any) -> ParsedResponse:
    """Parse a response to the object that was sent; raises InvalidResponse."""
    if not isinstance(response, Mapping):
        raise InvalidResponse("the body is not an object. A validator returns the object as JSON.")
    for name, pk in _other_ids(sent, response):
        if pk is not None:
            raise InvalidResponse(f"the body is another object: its {name} is {str(pk)[:40]!r}.")
    params = about.params_of(sent)
    parsed = validator_responses.read(params, about.params_of(response))
    heads = {path[0] for path in about.paths}
    parsed.ignored += _differences(sent, response, "", {"id", *heads})
    for key in heads - {"params"}:
        part = response.get(key)
        if isinstance(part, Mapping):
            parsed.ignored += _differences(sent[key], part, f"{key}.", {"id", "params"})
    return parsed


def _other_ids(sent: Json, response: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the ids in a response that differ from those sent, as (path, id)."""
    ids = [("id", response.get("id"))] if response.get("id") != sent["id"] else []
    for key in ("asset", "configuration"):
        part = response.get(key)
        if key in sent and isinstance(part, Mapping) and part.get("id") != sent[key]["id"]:
            ids.append((f"{key}.id", part.get("id")))
    return ids


def _differences(sent: Json, response: Mapping[str, Any], prefix: str, but: set[str]) -> list[str]:
    """Return the keys in which a response differs, except `but`."""
    return [
        f"{prefix}{key}"
        for key, value in response.items()
        if key not in but and value != sent.get(key)
    ]


def _write(
    about: Validated,
    request: ValidationRequest,
    data: Mapping[str, Any],
    actor: Actor,
    responses: list[ParsedResponse],
    is_latest: Callable[[], bool],
) -> None:
    """Write the changes of body and responses; raises ActionNotAllowed if the status changed."""
    if not data and not responses:
        return
    pk = request.object_id
    with transaction.atomic():
        row: Any = get_row(about.queue.model._default_manager.select_for_update(), pk)
        if row.status != request.status:
            raise ActionNotAllowed(
                f"{pk} became {row.status} during its validation: the response of the validator "
                f"was too late."
            )
        if not is_latest():
            raise Superseded(pk)
        if data:
            about.apply(pk, data, actor)
            row.refresh_from_db()
        merged = validator_responses.merge(row.params, responses)
        if merged != row.params:
            about.write(row, merged, clock.now())
