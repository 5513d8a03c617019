"""What a queue is: a declaration of statuses and moves, found by every room in one registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import models

from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Account, Product, User
from requests_queue.rows import Row


def list_indexes(name: str) -> list[models.Index]:
    """Return the indexes of a queue's list, as each party reads it: the newest first, those of
    a status and a product, or any.

    They hold the key and what is mostly filtered by, so that they tell which rows a page has,
    and how many there are, without the rows.
    """
    shapes = {
        "": ("status", "product", "-created", "id"),
        "_dated": ("-created", "id", "status", "product"),
    }
    return [
        models.Index(fields=[side, *fields], name=f"{name}_{side}{suffix}")
        for side in ("vendor", "provider")
        for suffix, fields in shapes.items()
    ]


class QueueObject(Row):
    """What the objects of all queues have: a status, a product, and two parties."""

    id = models.CharField(max_length=40, primary_key=True)
    status = models.CharField(max_length=16)
    product = models.ForeignKey(Product, models.CASCADE, related_name="+")
    # Not indexed by themselves: each list's index begins with one of them.
    vendor = models.ForeignKey(Account, models.CASCADE, related_name="+", db_index=False)
    provider = models.ForeignKey(Account, models.CASCADE, related_name="+", db_index=False)
    assignee = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")
    created = models.DateTimeField()
    updated = models.DateTimeField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.pk} ({self.status})"

    @classmethod
    def visible_to(cls, account: Account) -> models.QuerySet[Any]:
        """Return the objects that an account may see: those it is a party to."""
        side = "vendor" if account.is_vendor else "provider"
        return cls._default_manager.filter(**{side: account})

    def parties(self) -> tuple[str, ...]:
        """Return the ids of the accounts that are told of this object's changes."""
        return tuple(dict.fromkeys((self.vendor_id, self.provider_id)))


@dataclass(frozen=True, slots=True)
class Context:
    """What a move is made with: who, with which body, when."""

    actor: Actor
    data: Mapping[str, Any]
    now: datetime


# Makes a realistic object of a type, for a product or for one that fits (None), that an account
# (None: any) is a party to, adds it to its queue and returns it.  Raises Refused where the product
# can't have such an object.
SampleFactory = Callable[[str, "Product | None", "Account | None"], "QueueObject"]


@dataclass(frozen=True, slots=True)
class PreviewField:
    """A field of a proposal: the dotted path in the body where its value stands (numbers are
    places in a list), and what a person calls it. `kind` is text, number or email; `word` is
    one by which a refusal of the list that it stands in names it."""

    path: str
    label: str
    section: str = ""
    kind: str = "text"
    required: bool = False
    word: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """An object that isn't created yet: the body of its POST, who would make the call, and what
    a person may change of the body first.

    `params` are parameters as the API shows them, with the values proposed; `params_path` is
    where a body has them. `about` are the objects that it could be about (id, label), of which
    `chosen` is one: another one makes another proposal.
    """

    body: dict[str, Any]
    actor: Actor
    product: Product
    entries: tuple[PreviewField, ...] = ()
    params: tuple[dict[str, Any], ...] = ()
    params_path: str = "params"
    about_label: str = ""
    about: tuple[tuple[str, str], ...] = ()
    chosen: str = ""


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """What a sample is wanted of: a type, a product and what it is about (each empty or None:
    the first that fits), for an account that is a party to it; `draft`: one to be validated."""

    kind: str
    account: Account
    product: Product | None = None
    about: str = ""
    draft: bool = False


# Proposes a realistic object and makes nothing.  Raises Refused where there is none to propose.
PreviewBuilder = Callable[[SampleRequest], Preview]
# Checks the body against the object and returns the columns to write beside the status
# (a "status" among them overrides Move.to).  Raises Refused.
Prepare = Callable[[Any, Context], dict[str, Any]]
# Changes other objects, after the status has been written.
Effect = Callable[[Any, Context], None]


@dataclass(frozen=True, slots=True)
class Action:
    """One verb of a queue: `POST …/{id}/<name>`."""

    name: str
    source: frozenset[str]
    target: str
    actors: frozenset[str]
    types: frozenset[str] | None = None
    prepare: Prepare | None = None
    effect: Effect | None = None


@dataclass(frozen=True, slots=True)
class Queue:
    """The declaration of a queue, `object_class` in Connect's singular form.

    A queue whose objects have no status (Connect's billing requests) has no statuses and no
    moves.
    """

    object_class: str
    title: str
    model: type[QueueObject]
    statuses: tuple[str, ...]
    final: frozenset[str]
    types: tuple[str, ...]
    actions: tuple[Action, ...]
    sample: SampleFactory | None = None
    # The same, born as a draft that can be validated, where the queue has such drafts.
    draft_sample: SampleFactory | None = None
    # What a sample would be, to be looked at and changed first; created by the API's own POST.
    preview: PreviewBuilder | None = None
    # Births in these statuses are no queue change yet (Connect's drafts).
    silent_statuses: frozenset[str] = frozenset({"draft"})
    by_name: dict[str, tuple[Action, ...]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        for move in self.actions:
            unknown = (move.source | {move.target}) - set(self.statuses)
            if unknown:
                raise ValueError(f"{self.object_class}.{move.name}: no such status: {unknown}")
            self.by_name[move.name] = (*self.by_name.get(move.name, ()), move)

    def available_actions(self, row: QueueObject, *roles: str) -> list[Action]:
        """Return the moves that these roles may make with the object as it is."""
        kind = getattr(row, "type", None)
        return [
            m
            for m in self.actions
            if row.status in m.source
            and not m.actors.isdisjoint(roles)
            and (m.types is None or kind in m.types)
        ]


_queues: dict[str, Queue] = {}


def register(queue: Queue) -> Queue:
    """Add a queue to the registry; a second one of the same class is refused."""
    if queue.object_class in _queues:
        raise ValueError(f"A queue {queue.object_class} is registered already.")
    _queues[queue.object_class] = queue
    return queue


def registered() -> tuple[Queue, ...]:
    """Return all queues."""
    return tuple(_queues.values())


def find_queue(name: str) -> Queue | None:
    """Return the queue of an object class, or of its app's name: `fulfillment`."""
    for queue in _queues.values():
        if name in (queue.object_class, queue.model._meta.app_label):
            return queue
    return None


def find_object(pk: str) -> tuple[Queue, QueueObject] | None:
    """Return the object of an id, and its queue."""
    for queue in _queues.values():
        row = queue.model._default_manager.filter(pk=pk).first()
        if row is not None:
            return queue, row
    return None


def for_model(model: type[models.Model]) -> Queue:
    """Return the queue of a model."""
    return next(q for q in _queues.values() if q.model is model)
