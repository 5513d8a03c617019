"""Operations on the objects of a queue that views, pages, samples and commands share.

Each queue declares its own with its API; these functions add the visibility of the account.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.http import HttpResponse

from requests_queue import clock, topics
from requests_queue.api import json_validation
from requests_queue.api.schema import Json
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import User
from requests_queue.db.rows import get_row
from requests_queue.errors import Invalid, Missing
from requests_queue.queues import transitions
from requests_queue.queues.base import Queue, QueueObject


@dataclass(frozen=True, slots=True)
class Upload:
    """An action that takes a file: its form field, and the function (id, actor, file)."""

    field: str
    run: Callable[[str, Actor, UploadedFile[bytes]], Any]


@dataclass(frozen=True, slots=True)
class AttachedFiles:
    """The files of an object.

    `rows` returns them without their contents: rows with `id`, `name`, `type`, `size`, `account`,
    `created` and `created_by`. `download` returns a response with the content of one.
    """

    rows: Callable[[Any], QuerySet[Any]]
    download: Callable[[Any], HttpResponse]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The functions of a queue; they check bodies and raise Refused."""

    # Adds what `represent` needs to a query.
    complete: Callable[[QuerySet[Any]], QuerySet[Any]]
    # Returns the representation of an object, as GET has it.
    represent: Callable[[Any], Json]
    # Creates an object by the body of a POST.
    create: Callable[[Mapping[str, Any], Actor], QueueObject]
    # Changes an object by the body of a PUT.
    edit: Callable[[str, Mapping[str, Any], Actor], Any] | None = None
    # Returns the Markdown that the customer or reseller reads.
    text: Callable[[Any], str] | None = None
    attachments: AttachedFiles | None = None
    # The actions that take a file, by name.
    uploads: Mapping[str, Upload] = field(default_factory=dict)


_services: dict[str, Service] = {}
_assigned: set[str] = set()


def register(queue: Queue, service: Service, *, has_assignee: bool) -> None:
    """Declare the functions of a queue, and whether its objects can be assigned to users."""
    _services[queue.object_class] = service
    if has_assignee:
        _assigned.add(queue.object_class)


def registered(object_class: str) -> Service | None:
    """Return the functions of an object class, None where it has no queue."""
    return _services.get(object_class)


def find(queue: Queue, actor: Actor, pk: str) -> Any:
    """Return an object that the actor's account may see; raises Missing."""
    assert actor.account is not None
    rows = queue.model.visible_to(actor.account)
    return get_row(_services[queue.object_class].complete(rows), pk)


def get(queue: Queue, actor: Actor, pk: str) -> Json:
    """Return the representation of an object; raises Missing."""
    return _services[queue.object_class].represent(find(queue, actor, pk))


def create(queue: Queue, actor: Actor, data: Mapping[str, Any]) -> Json:
    """Create an object and return its representation; raises Refused."""
    row = _services[queue.object_class].create(checked(data), actor)
    return get(queue, actor, row.pk)


def edit(queue: Queue, actor: Actor, pk: str, data: Mapping[str, Any]) -> None:
    """Change an object; raises Refused."""
    function = _services[queue.object_class].edit
    if function is None:
        raise LookupError(f"Objects of {queue.object_class} cannot be edited.")
    find(queue, actor, pk)
    function(pk, checked(data), actor)


def act(queue: Queue, actor: Actor, pk: str, action: str, data: Mapping[str, Any]) -> Any:
    """Take an action and return the updated object; raises Refused."""
    assert actor.account is not None
    if not queue.model.visible_to(actor.account).filter(pk=pk).exists():
        raise Missing(pk)
    return transitions.move(queue.model, pk, action, actor, data)


def has_assignee(queue: Queue) -> bool:
    """Whether the objects of a queue can be assigned to users."""
    return queue.object_class in _assigned


def colleagues(actor: Actor) -> QuerySet[User]:
    """Return the users to whom an actor may assign an object: those of its account."""
    return User.objects.filter(account=actor.account, is_active=True)


def assign(queue: Queue, actor: Actor, pk: str, user: User | None) -> None:
    """Assign an object to a user, or to nobody; raises Missing."""
    assert actor.account is not None
    at = clock.shown(clock.now())
    if not queue.model.visible_to(actor.account).filter(pk=pk).update(assignee=user, updated=at):
        raise Missing(pk)
    topics.announce_objects([actor.account.pk], pk)


def text(queue: Queue, actor: Actor, pk: str) -> str:
    """Return the Markdown that the customer or reseller reads, empty for queues without one.

    Raises Missing.
    """
    function = _services[queue.object_class].text
    return function(find(queue, actor, pk)) if function else ""


def attachments(queue: Queue, row: QueueObject) -> QuerySet[Any] | None:
    """Return the files of an object without their contents; None for queues without files."""
    declared = _services[queue.object_class].attachments
    return declared.rows(row) if declared else None


def download(queue: Queue, row: QueueObject, pk: str) -> HttpResponse:
    """Return a response with the content of an object's file; raises Missing."""
    declared = _services[queue.object_class].attachments
    if declared is None:
        raise Missing(pk)
    # With its content: one that is deleted meanwhile is missing.
    return declared.download(get_row(declared.rows(row).defer(None), pk))


def upload_field(queue: Queue, action: str) -> str:
    """Return the form field of the file that an action takes, empty if it takes none."""
    upload = _services[queue.object_class].uploads.get(action)
    return upload.field if upload else ""


def upload(queue: Queue, actor: Actor, pk: str, action: str, file: UploadedFile[bytes]) -> None:
    """Take an action that takes a file; raises Refused."""
    find(queue, actor, pk)
    _services[queue.object_class].uploads[action].run(pk, actor, file)


def checked(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body; raises Invalid if it has text that a database can't store."""
    try:
        result: dict[str, Any] = json_validation.validate_json(dict(data))
    except json_validation.NotStorable as error:
        raise Invalid(error.path, str(error)) from None
    return result
