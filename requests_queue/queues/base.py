"""The declaration of a queue, its statuses and actions, and the registry of queues."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import models

from requests_queue.api.fields import Input
from requests_queue.catalog import visibility
from requests_queue.catalog.actors import DISTRIBUTOR, SYSTEM, VENDOR, Actor
from requests_queue.catalog.models import Account, Product, User
from requests_queue.queues.sampling import PreviewBuilder

# How pages show a status, and the button of an action.
GOOD, BAD, BUSY, WAIT = "good", "bad", "busy", "wait"
PRIMARY, DESTRUCTIVE = "primary", "destructive"


def list_indexes(name: str) -> list[models.Index]:
    """Return the indexes of a queue's list: by status and product, or by neither, for each party.

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


class QueueObject(models.Model):
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
        ordering = ["-created", "id"]

    def __str__(self) -> str:
        return f"{self.pk} ({self.status})"

    @classmethod
    def visible_to(cls, account: Account) -> models.QuerySet[Any]:
        """Return the objects that an account may see: those it is a party to."""
        return cls._default_manager.filter(**visibility.party(account))

    @classmethod
    def listed_to(cls, account: Account) -> models.QuerySet[Any]:
        """Return the objects that an account's lists have: by default all that it may see."""
        return cls.visible_to(account)

    def parties(self) -> tuple[str, ...]:
        """Return the ids of the accounts that are notified of this object's changes."""
        return tuple(dict.fromkeys((self.vendor_id, self.provider_id)))


@dataclass(frozen=True, slots=True)
class Context:
    """The actor, the body and the moment of an action."""

    actor: Actor
    data: Mapping[str, Any]
    now: datetime


# Makes a realistic object of a type, for a product or for one that fits (None), that an account
# (None: any) is a party to, adds it to its queue and returns it.  Raises Refused where the product
# can't have such an object.
SampleFactory = Callable[[str, "Product | None", "Account | None"], "QueueObject"]
# Checks the body against the object and returns the columns to write beside the status
# (a "status" among them, one of Action.outcomes, overrides Action.target).  Raises Refused.
Prepare = Callable[[Any, Context], dict[str, Any]]
# Changes other objects, after the status has been written.
Effect = Callable[[Any, Context], None]


@dataclass(frozen=True, slots=True)
class CustomerText:
    """What the inquiring form says of a request that it can't be answered for.

    `text` may contain `{vendor}`, the vendor's name; `tone` is GOOD, BAD or none. With
    `with_reason` the request's reason follows.
    """

    title: str
    text: str
    tone: str = ""
    with_reason: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """A status of a queue and how pages show it.

    `tone` chooses the color: GOOD, BAD, WAIT (for a party), BUSY (the platform works on it), or
    none. `label` defaults to the name in words.
    An object in a `final` status takes no more actions. `waits_for` is what an object in the status
    waits for, if that is not the party of its usual action.
    """

    name: str
    tone: str = ""
    label: str = ""
    final: bool = False
    customer: CustomerText | None = None
    waits_for: str = ""

    @property
    def title(self) -> str:
        """The status in words: `tiers_setup` is `tiers setup`."""
        return self.label or self.name.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Action:
    """An action of a queue: `POST …/{id}/<name>`.

    `label` is what pages call it, by default the name in words. `emphasis` is how its button
    looks: PRIMARY, DESTRUCTIVE, or as the tone of the target says. A PRIMARY action is the usual
    one of its statuses: boards offer it on each card, and for several objects at once.
    """

    name: str
    source: frozenset[str]
    target: str
    actors: frozenset[str]
    types: frozenset[str] | None = None
    # The statuses that `prepare` may choose in place of `target`.
    outcomes: frozenset[str] = frozenset()
    prepare: Prepare | None = None
    effect: Effect | None = None
    # The body that it takes.
    body: Input | None = None
    label: str = ""
    emphasis: str = ""
    # The column of the account that takes it, where that depends on the object: `issuer`.
    party: str = ""

    @property
    def targets(self) -> frozenset[str]:
        """The statuses that an object may have after the action."""
        return self.outcomes | {self.target}

    @property
    def title(self) -> str:
        """What pages call the action."""
        return self.label or self.name.replace("_", " ").capitalize()

    def actors_for(self, row: QueueObject) -> frozenset[str]:
        """Return the roles that may take the action with the object."""
        if not self.party:
            return self.actors
        is_vendor = getattr(row, f"{self.party}_id") == row.vendor_id
        return self.actors & {VENDOR if is_vendor else DISTRIBUTOR, SYSTEM}


def action(name: str, source: str, target: str, *actors: str, **more: Any) -> Action:
    """Return an action; `source` names its statuses, and `outcomes`, separated by spaces."""
    outcomes = frozenset(more.pop("outcomes", "").split())
    return Action(
        name, frozenset(source.split()), target, frozenset(actors), outcomes=outcomes, **more
    )


@dataclass(frozen=True, slots=True)
class Queue:
    """The declaration of a queue, `object_class` in Connect's singular form.

    A queue whose objects have no status (Connect's billing requests) has no statuses and no
    actions.
    """

    object_class: str
    title: str
    model: type[QueueObject]
    statuses: tuple[Status, ...]
    types: tuple[str, ...]
    actions: tuple[Action, ...]
    sample: SampleFactory | None = None
    # The same, created as a draft that can be validated, where the queue has such drafts.
    draft_sample: SampleFactory | None = None
    # What a sample would be, to be viewed and edited first; created by the API's own POST.
    preview: PreviewBuilder | None = None
    # Creation in these statuses is no queue change yet (Connect's drafts).
    silent_statuses: frozenset[str] = frozenset({"draft"})
    # Whether its changes trigger webhooks: without, its object class is none of a webhook.
    has_webhooks: bool = True
    # The letters of its objects' ids, so that the palette finds them by digits alone.
    prefixes: tuple[str, ...] = ()
    # What its page can be searched by, in words.
    searched: str = "ID"
    # What the API says (400 `VAL_001`) of an action that an object's status doesn't allow; empty:
    # a sentence of ours (`REQ_003`).
    not_allowed: str = ""
    by_name: dict[str, tuple[Action, ...]] = field(default_factory=dict, init=False)
    by_status: dict[str, Status] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.by_status.update({status.name: status for status in self.statuses})
        for one in self.actions:
            unknown = (one.source | one.targets) - self.by_status.keys()
            if unknown:
                raise ValueError(f"{self.object_class}.{one.name}: unknown statuses: {unknown}")
            self.by_name[one.name] = (*self.by_name.get(one.name, ()), one)

    @property
    def status_names(self) -> tuple[str, ...]:
        """The names of the statuses, in the order of the declaration."""
        return tuple(self.by_status)

    @property
    def final(self) -> frozenset[str]:
        """The names of the final statuses."""
        return frozenset(status.name for status in self.statuses if status.final)

    def status(self, name: str) -> Status:
        """Return the status of a name; one that the queue doesn't declare has no color."""
        return self.by_status.get(name) or Status(name)

    def emphasis(self, one: Action) -> str:
        """Return how the button of an action looks: PRIMARY, DESTRUCTIVE or neither."""
        is_bad = self.status(one.target).tone == BAD
        return one.emphasis or (DESTRUCTIVE if is_bad else "")

    def usual_action(self, row: QueueObject, *roles: str) -> Action | None:
        """Return the usual action that these roles may take with the object; None without one."""
        actions = self.available_actions(row, *roles)
        return next((one for one in actions if self.emphasis(one) == PRIMARY), None)

    def available_actions(self, row: QueueObject, *roles: str) -> list[Action]:
        """Return the actions that these roles may take with the object as it is."""
        kind = getattr(row, "type", None)
        return [
            one
            for one in self.actions
            if row.status in one.source
            and not one.actors_for(row).isdisjoint(roles)
            and (one.types is None or kind in one.types)
        ]


_queues: dict[str, Queue] = {}


def register(queue: Queue) -> Queue:
    """Add a queue to the registry; a second one of the same class is refused."""
    if queue.object_class in _queues:
        raise ValueError(f"A queue {queue.object_class} is registered already.")
    _queues[queue.object_class] = queue
    return queue


def registered() -> tuple[Queue, ...]:
    return tuple(_queues.values())


def find_queue(name: str) -> Queue | None:
    """Return the queue of an object class, or of its app's name: `fulfillment`."""
    for queue in _queues.values():
        if name in (queue.object_class, queue.model._meta.app_label):
            return queue
    return None


def queues_of(pk: str) -> list[Queue]:
    """Return the queues that may have an object with this id, by its letters."""
    letters = pk.partition("-")[0]
    return [queue for queue in _queues.values() if letters in (queue.prefixes or (letters,))]


def find_object(pk: str) -> tuple[Queue, QueueObject] | None:
    """Return the object of an id, and its queue."""
    for queue in queues_of(pk):
        row = queue.model._default_manager.filter(pk=pk).first()
        if row is not None:
            return queue, row
    return None


def for_model(model: type[models.Model]) -> Queue:
    return next(q for q in _queues.values() if q.model is model)
