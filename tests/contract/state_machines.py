"""Changes of status: those of CloudBlue's published state machines, and ours.

Ours are declared by the queues, and observed of what else has a status: a recorder notes every
change that calls of the API and the platform's jobs cause. Queues' own changes are declared and
observed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from django.db.models import F

from requests_queue.catalog.actors import SYSTEM, VENDOR
from requests_queue.catalog.models import Asset, Contract, Item, Listing, Product, TierAccount
from requests_queue.queues import base
from requests_queue.queues.helpdesk.models import Case
from requests_queue.queues.tier_config.models import TierConfig
from requests_queue.queues.usage_file import chunks
from requests_queue.queues.usage_file.models import UsageChunk, UsageRecord
from tests.api import Response
from tests.processes import ROOT
from tests.queue import tables
from tests.queue.platforms import Platform

PUBLISHED = json.loads((ROOT / "tests/contract/state_machines.json").read_text())["objects"]

# Queues by the names of their objects in the state machines.
QUEUES = {
    "fulfillment_request": "fulfillment_request",
    "tier_config_request": "tier_config_request",
    "tier_account_request": "tier_account_request",
    "listing_request": "listing_request",
    "usage_file": "usage_file",
    "case": "helpdesk_case",
}
OTHERS = (
    "subscription",
    "tier_config",
    "tier_account",
    "listing",
    "product",
    "item",
    "distribution_contract",
    "program_contract",
    "usage_record",
    "usage_chunk",
)
# Statuses of which the newer OpenAPI document has other names, as we do.
RENAMED = {("usage_record", "validated"): "valid", ("usage_record", "accepted"): "approved"}
# What has no status where the state machines have one.
DELETED = {("usage_file", "deleted")}
# Under which names our actors act in the state machines.
ALIASES = {
    # The inquiring form acts for the distributor, who owns tier accounts.
    "distributor": {"distributor", "customer", "account"},
    "vendor": {"vendor", "account", "assignee"},
    "system": {"system"},
    # Of a case: the account that opens it, and the other one.
    "reporter": {"reporter", "account"},
    "assignee": {"assignee"},
}
# Texts of actions in the state machines as patterns of ours.
ACTIONS = {
    "purchase (purchase), submit (other types)": ("purchase", "submit"),
    "request: purchase": ("POST purchase",),
    "request: purchase as draft": ("POST purchase",),
    "purchase of the draft": ("purchase purchase",),
    "request: change (buyer) or adjustment (vendor)": ("POST change", "POST adjustment"),
    "approve of the change or adjustment": ("approve change", "approve adjustment"),
    "request: update": ("POST update",),
    "submit of its request": ("submit *",),
    "approve of its request": ("approve *",),
    "fail of its request": ("fail *",),
    "listing request: submit": ("submit *",),
    "listing request: submit (remove)": ("submit remove",),
    "listing request: submit (update)": ("submit update",),
    "listing request: complete (new)": ("complete new",),
    "listing request: complete (remove)": ("complete remove",),
    "listing request: complete (update)": ("complete update",),
    "listing request: cancel": ("cancel *",),
    "POST /products/{id}/versions": ("versions*",),
    "upload of the file": ("upload usage_file",),
    "submit of the file": ("submit usage_file",),
    "accept of the file": ("accept usage_file",),
    "reject of the file": ("reject usage_file",),
    "close, close-records, reconciliation": ("close*", "reconciliation usage_file"),
}


class Change(NamedTuple):
    """A change of status: of what, from ("": created), to ("": deleted), by whom, by which action.

    Of a published change `who` and `action` are empty where the state machine names none.
    """

    about: str
    source: str
    target: str
    who: str
    action: str

    def __str__(self) -> str:
        return f"{self.about}: {self.source or '(none)'} → {self.target or '(none)'}, " + (
            f"{self.who or '(anybody)'}, {self.action or '(any action)'}"
        )


class Ours(NamedTuple):
    """A change of ours; `is_consequence` if the platform decides it because of the action."""

    change: Change
    is_consequence: bool


def matches(published: Change, ours: Ours) -> bool:
    """Return whether one of our changes is a published one."""
    change = ours.change
    actors = ALIASES[change.who] | ({"system"} if ours.is_consequence else set())
    return (
        published[:3] == change[:3]
        and (not published.who or published.who in actors)
        and (not published.action or fnmatchcase(change.action, published.action))
    )


def published(about: str) -> Iterator[Change]:
    """Yield the published changes of an object, one for each actor and action."""
    machine = PUBLISHED[about]
    created = {row["to"] for row in machine["transitions"] if row["from"] is None}
    for row in machine["transitions"]:
        for who in row["who"] or [""]:
            for action in _actions(row["action"]):
                ends = [RENAMED.get((about, row[end]), row[end] or "") for end in ("from", "to")]
                yield Change(about, *ends, who, action)
    for status in machine["initial"]:
        if status not in created:
            yield Change(about, "", status, "", "")


def _actions(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ("",)
    if text in ACTIONS:
        return ACTIONS[text]
    if found := re.fullmatch(r"(\w+) of the (\w+)", text):
        return (" ".join(found.groups()),)
    if found := re.fullmatch(r"request: (\w+)", text):
        return (f"POST {found[1]}",)
    return tuple(text.split(", "))


def compared() -> list[str]:
    """Return the names of the objects that are served and compared."""
    return [*QUEUES, *OTHERS]


def _queue(about: str) -> base.Queue:
    queue = base.find_queue(QUEUES[about])
    assert queue is not None
    return queue


def declared(about: str) -> Iterator[Ours]:
    """Yield the changes that the actions of a queue declare."""
    # The actors of other objects are the same for all.
    row = Case(issuer_id="VA-1", receiver_id="PA-1", vendor_id="VA-1", provider_id="PA-1")
    for action in _queue(about).actions:
        for source in action.source:
            for role in action.actors_for(row):
                who = _name_party(row, role) if about == "case" else role
                for target in action.targets:
                    shown = "" if (about, target) in DELETED else target
                    change = Change(about, source, shown, who, action.name)
                    yield Ours(change, target in action.outcomes)


def _name_party(case: Case, role: str) -> str:
    """Return how the state machine of cases calls who has a role."""
    if role == SYSTEM:
        return role
    is_issuer = (role == VENDOR) == (case.issuer_id == case.vendor_id)
    return "reporter" if is_issuer else "assignee"


def _statuses() -> dict[tuple[str, str], str]:
    """Return the status of everything that has one, by its name in the state machines and id."""
    found: dict[tuple[str, str], str] = {}
    models = {
        "subscription": Asset,
        "tier_config": TierConfig,
        "listing": Listing,
        "product": Product,
        "item": Item,
        "usage_record": UsageRecord,
    } | {name: _queue(name).model for name in QUEUES}
    for name, each in models.items():
        for pk, status in each._default_manager.values_list("pk", "status"):
            if (name, status) not in DELETED:
                found[name, pk] = status
    for pk, program, status in Contract.objects.values_list("pk", "program", "status"):
        found["program_contract" if program else "distribution_contract", pk] = status
    for pk, gone in TierAccount.objects.values_list("pk", "decommissioned"):
        found["tier_account", pk] = "decommissioned" if gone else "active"
    parts = chunks.with_status(UsageChunk.objects.all()).annotate(shown=F("part_status"))
    for pk, status in parts.values_list("pk", "shown"):
        found["usage_chunk", pk] = status
    return found


_PATHS = {tables.PATHS[queue]: name for name, queue in QUEUES.items()} | {
    "/products": "product",
    "/listings": "listing",
    "/contracts": "distribution_contract",
    "/tier/accounts": "tier_account",
    "/usage/records": "usage_record",
    "/usage/chunks": "usage_chunk",
}
# What a queue's object is about, which an action may leave in its status.
_SUBJECTS = {
    "fulfillment_request": ("subscription", "asset_id"),
    "tier_config_request": ("tier_config", "configuration_id"),
    "listing_request": ("listing", "listing_id"),
}


class Recorder:
    """The changes of all statuses that the calls of a platform's parties cause."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.observed: set[Ours] = set()
        # Builders make their calls with these.
        platform.post = self.post  # type: ignore[method-assign]
        platform.put = self.put  # type: ignore[method-assign]

    def post(self, actor: str, path: str, body: Any = None) -> Any:
        return self.call(actor, "POST", path, body)

    def put(self, actor: str, path: str, body: Any) -> Any:
        return self.call(actor, "PUT", path, body)

    def call(self, actor: str, method: str, path: str, body: Any = None) -> Any:
        """Make a call that must succeed, and note the changes; return the JSON of the response."""
        response = self.attempt(actor, method, path, body)
        assert response.status < 300, (actor, method, path, response)
        return response.json

    def attempt(self, actor: str, method: str, path: str, body: Any = None) -> Response:
        """Make a call that may be refused, and note the changes."""
        collection = next(p for p in sorted(_PATHS, key=len, reverse=True) if path.startswith(p))
        rest = path[len(collection) + 1 :].split("/")
        about, pk, verb = _PATHS[collection], rest[0], rest[-1] if len(rest) % 2 == 0 else ""
        if pk == "close-records":
            verb = pk
        if rest[1:2] == ["items"]:
            about, verb = "item", rest[3] if len(rest) > 3 else ""
        name = verb or method
        kind = str((body or {}).get("type", "")) if isinstance(body, dict) else ""
        who = {"V": "vendor", "D": "distributor"}[actor]
        row = base.find_object(pk)
        if row is not None:
            kind = getattr(row[1], "type", "")
        if about == "case":
            case = row[1] if row is not None else None
            who = _name_party(case, who) if isinstance(case, Case) else "reporter"
        subject = _SUBJECTS.get(about)
        subject_pk = getattr(row[1], subject[1]) if row is not None and subject else ""
        before = _statuses()
        response = self.platform.by[actor].call(method, path, body)
        after = _statuses()
        other = f"{name} {kind or about}"
        self._note(before, after, who, lambda each: name if each == about else other)
        if subject and response.status < 300:
            # Staying in a status may be a change, too.
            pk = subject_pk or response.json[_NAMES[about]]["id"]
            was, now = before.get((subject[0], pk)), after.get((subject[0], pk))
            if was is not None and was == now:
                change = Change(subject[0], was, was, who, f"{name} {kind}")
                self.observed.add(Ours(change, True))
        return response

    def note(self, who: str, action: str, run: Callable[[], Any], only: str = "") -> None:
        """Run a job of the platform or an upload, and note the changes, or only those of one kind.

        `action` ends with what it is an action of: `upload usage_file`.
        """
        before = _statuses()
        run()
        after = _statuses()
        if only:
            before, after = (
                {k: v for k, v in each.items() if k[0] == only} for each in (before, after)
            )
        self._note(before, after, who, lambda each: action.removesuffix(f" {each}"))

    def _note(
        self,
        before: dict[tuple[str, str], str],
        after: dict[tuple[str, str], str],
        who: str,
        action: Callable[[str], str],
    ) -> None:
        for key in before.keys() | after.keys():
            was, now = before.get(key, ""), after.get(key, "")
            if was != now:
                label = action(key[0])
                change = Change(key[0], was, now, who, label)
                self.observed.add(Ours(change, " " in label))


_NAMES = {
    "fulfillment_request": "asset",
    "tier_config_request": "configuration",
    "listing_request": "listing",
}
