"""Usual actions for several objects: those selected, or all that match the page's filters.

A run goes in steps, one for each request, so that none takes long. The state between steps is a
signed field of the form that continues. Each object is a transaction of its own, by the same
function as a single action: what has changed meanwhile is refused and reported.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Set
from dataclasses import asdict, dataclass, field
from functools import reduce
from operator import or_
from typing import Any

from django.core import signing
from django.db import OperationalError
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import reverse

from portal import layout, pages
from portal.identity import Viewer
from portal.queues import actions, labels, lists
from requests_queue.catalog import audit
from requests_queue.db import database_errors
from requests_queue.errors import FieldError, Invalid, Missing, Refused
from requests_queue.queues import services
from requests_queue.queues.base import Action, Queue

MOST = 1000  # objects of a run
STEP = 25  # objects of a request
SECONDS = 2.0  # of a request, after which it starts with no further object
_FILTERS = ("q", "type", "product")
_SALT = "portal.queues.bulk"


@dataclass
class Run:
    """A run: the objects that are left, and the results; it belongs to an account and a queue."""

    account: str
    queue: str
    action: str
    left: list[str]
    total: int
    # (id, title of the status now), and (id, why it was refused, whether it has a page).
    done: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, str, bool]] = field(default_factory=list)

    @property
    def state(self) -> str:
        """The run as a signed text."""
        return signing.dumps(asdict(self), salt=_SALT, compress=True)

    @property
    def count(self) -> int:
        """The number of objects that have a result."""
        return len(self.done) + len(self.refused)

    @property
    def summary(self) -> str:
        """The results in words: `18 approved, 2 refused`."""
        numbers = Counter(status for _, status in self.done)
        if self.refused or not numbers:
            numbers["refused"] = len(self.refused)
        return ", ".join(f"{n} {status}" for status, n in numbers.items())

    def step(self, queue: Queue, viewer: Viewer) -> None:
        """Take the action with the next objects."""
        until = time.monotonic() + SECONDS
        for pk in self.left[:STEP]:
            self._run_one(queue, viewer, pk)
            self.left.remove(pk)
            if time.monotonic() > until:
                break

    def _run_one(self, queue: Queue, viewer: Viewer, pk: str) -> None:
        try:
            row = services.act(queue, viewer.actor, pk, self.action, {})
        except Refused as refused:
            why = " ".join(map(_sentence, refused.errors))
            self.refused.append((pk, why, not isinstance(refused, Missing)))
        except OperationalError as error:
            self.refused.append((pk, database_errors.unavailable(error) or str(error), True))
        else:
            if not self.done:
                audit.record(audit.Action.QUEUE_BULK, self.queue, self.action, account=self.account)
            self.done.append((pk, queue.status(row.status).title))


def _sentence(error: FieldError) -> str:
    return (error.sentence or error.message) if error.entry else str(error)


def offers(
    queue: Queue, viewer: Viewer, rows: QuerySet[Any], counts: dict[str, int], status: str = ""
) -> list[dict[str, Any]]:
    """Return the actions that a page of these objects offers; `status`: only one is shown.

    The count of an action is how many objects match. One statement for each action of some types or
    of a party.
    """
    found: dict[str, dict[str, Any]] = {}
    for action in actions.of_several(queue, viewer.role):
        sources = action.source & _statuses(queue, status)
        number = sum(counts.get(each, 0) for each in sources)
        if number and (action.types is not None or action.party):
            number = rows.filter(_condition(action, sources, viewer)).count()
        if number:
            offer = {"name": action.name, "title": action.title, "count": 0}
            found.setdefault(action.name, offer)["count"] += number
    return list(found.values())


def _statuses(queue: Queue, status: str) -> Set[str]:
    """Return the statuses of a page's objects: one, or all where it is none of the queue's."""
    return {status} if status in queue.by_status else queue.by_status.keys()


def _condition(action: Action, statuses: Set[str], viewer: Viewer) -> Q:
    """Return the condition that an object waits for the viewer's action.

    The other party's turn is not the viewer's, even if it may take an action of this name too.
    """
    condition = Q(status__in=action.source & statuses)
    if action.types is not None:
        condition &= Q(type__in=action.types)
    return condition & Q(**{action.party: viewer.account}) if action.party else condition


@layout.signed_in("GET", "POST")
def run(request: HttpRequest, viewer: Viewer, name: str) -> HttpResponse:
    """Start a run or continue one, and show its results."""
    queue = lists.find(name)
    if request.method != "POST":
        # The page of a run was reloaded.
        return pages.see_other(reverse("queue", args=[labels.name_of(queue)]))
    context: dict[str, Any] = {"queue": queue, "name": labels.name_of(queue)}
    status = 200
    try:
        run = _started(_without_nul(request.POST), queue, viewer)
        run.step(queue, viewer)
        title = queue.by_name[run.action][0].title
        context |= {"run": run, "title": title, "is_form": _has_values(queue, run.action)}
    except Invalid as invalid:
        context["error"], status = invalid.errors[0].message, 400
    template = "bulk_result" if layout.is_htmx(request) else "bulk"
    return layout.render(request, viewer, f"queues/{template}.html", context, status)


def _without_nul(post: QueryDict) -> QueryDict:
    """Return the fields without NUL characters, which PostgreSQL refuses in a query."""
    clean = post.copy()
    for name, values in post.lists():
        clean.setlist(name, [value.replace("\0", "") for value in values])
    return clean


def _has_values(queue: Queue, name: str) -> bool:
    """Whether a refusal can be about values that the action's own form accepts."""
    return any(one.body is not None for one in queue.by_name[name])


def _started(post: QueryDict, queue: Queue, viewer: Viewer) -> Run:
    """Return the run that a form starts or continues; raises Invalid."""
    if "state" in post:
        try:
            run = Run(**signing.loads(post.get("state", ""), salt=_SALT))
        except signing.BadSignature:
            run = None
        if run is None or (run.account, run.queue) != (viewer.account.pk, queue.object_class):
            raise Invalid(
                "state", "This run cannot be continued. Start again from the queue's page."
            )
        return run
    action, _, pk = post.get("one", "").partition(":")
    action = action or post.get("selected") or post.get("all", "")
    found = [one for one in actions.of_several(queue, viewer.role) if one.name == action]
    if not found:
        raise Invalid("action", "This action cannot be run here. Open the object to run it.")
    if "all" in post:
        pks = _matching(post, queue, viewer, found)
    else:
        pks = list(dict.fromkeys(filter(None, [pk] if pk else post.getlist("pk"))))[:MOST]
    if not pks:
        raise Invalid("pk", "No objects are selected. Select at least one.")
    return Run(viewer.account.pk, queue.object_class, action, pks, len(pks))


def _matching(post: QueryDict, queue: Queue, viewer: Viewer, found: list[Action]) -> list[str]:
    """Return the ids of the objects that match the page's filters, oldest first."""
    rows = lists.filtered(queue, viewer.account, {name: post.get(name, "") for name in _FILTERS})
    statuses = _statuses(queue, post.get("status", ""))
    rows = rows.filter(reduce(or_, (_condition(one, statuses, viewer) for one in found)))
    return list(rows.order_by("created", "pk").values_list("pk", flat=True)[:MOST])
