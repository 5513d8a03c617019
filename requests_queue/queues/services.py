"""The API's own calls of a queue, made from within: the same checks, the same answers, no HTTP.

For pages, which show an account what the API would give it and create what the API would create.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request

from requests_queue import json_validation
from requests_queue.catalog.actors import Actor
from requests_queue.errors import Invalid
from requests_queue.queues.api import QueueCollection, serving
from requests_queue.queues.base import Queue
from requests_queue.schema import Form, Json


def _calling(
    queue: Queue, actor: Actor, pk: str = "", data: Mapping[str, Any] | None = None
) -> Any:
    view: QueueCollection = serving(queue)()
    try:
        view.caller, view.given = actor, json_validation.validate_json(dict(data or {}))
    except json_validation.NotStorable as refused:
        # As the reader of a call's body has it.
        raise Invalid(refused.path, str(refused)) from None
    view.kwargs = {"pk": pk}
    return view


def get(queue: Queue, actor: Actor, pk: str) -> Json:
    """Return an object as its GET answers the actor's account; raises Missing."""
    found: Json = _calling(queue, actor, pk).retrieve(None).data
    return found


def create(queue: Queue, actor: Actor, data: Mapping[str, Any]) -> Json:
    """Create an object by the body of a POST and return it; raises Refused."""
    found: Json = _calling(queue, actor, data=data).create(None).data
    return found


def edit(queue: Queue, actor: Actor, pk: str, data: Mapping[str, Any]) -> None:
    """Change an object by the body of a PUT; raises Refused."""
    _calling(queue, actor, pk, data).update(None, pk)


def text(queue: Queue, actor: Actor, pk: str) -> str:
    """Return what the customer or reseller reads of an object: Markdown, empty where the queue's
    objects have no such text; raises Missing."""
    view = _calling(queue, actor, pk)
    return view.render(None, pk).content.decode() if hasattr(view, "render") else ""


def upload_field(queue: Queue, move: str) -> str:
    """Return the form field by which a move takes a file, empty where it takes none."""
    body = serving(queue).bodies.get(move)
    return body.field if isinstance(body, Form) else ""


def upload(queue: Queue, actor: Actor, pk: str, move: str, request: HttpRequest) -> None:
    """Make a move that takes a file, with the one that came with a form; raises Refused."""
    view = _calling(queue, actor, pk)
    getattr(view, move)(Request(request, parsers=[MultiPartParser()]), pk)
