"""Changes of status: those of CloudBlue's published state machines, and ours.

Ours are declared by the queues, and observed of what else has a status: a recorder notes every
change that calls of the API and the platform's jobs cause. Queues' own changes are declared and
observed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from django.conf import settings

from requests_queue import clock
from requests_queue.catalog.actors import SYSTEM
from requests_queue.catalog.models import Asset, Contract, Item, Listing, Product, TierAccount
from requests_queue.queues import base
from requests_queue.queues.helpdesk.models import Case, issuer_role
from requests_queue.queues.tier_config.models import TierConfig
from requests_queue.tasks import run_due
from tests import make
from tests.api import Response
from tests.processes import ROOT
from tests.queue import builders, tables
from tests.queue.platforms import Platform, undone

PUBLISHED = json.loads((ROOT / "tests/contract/state_machines.json").read_text())["objects"]

# Queues by the names of their objects in the state machines. A queue that isn't served is compared
# once it is.
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
)
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
                yield Change(about, row["from"] or "", row["to"] or "", who, action)
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
    return [name for name, queue in QUEUES.items() if base.find_queue(queue)] + [*OTHERS]


def declared(about: str) -> Iterator[Ours]:
    """Yield the changes that the actions of a queue declare."""
    queue = base.find_queue(QUEUES[about])
    assert queue is not None
    # The actors of other objects are the same for all.
    row = Case(issuer_id="VA-1", receiver_id="PA-1", vendor_id="VA-1", provider_id="PA-1")
    for action in queue.actions:
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
    return "reporter" if role == issuer_role(case) else "assignee"


def _statuses() -> dict[tuple[str, str], str]:
    """Return the status of everything that has one, by its name in the state machines and id."""
    found: dict[tuple[str, str], str] = {}
    models = {
        "subscription": Asset,
        "tier_config": TierConfig,
        "listing": Listing,
        "product": Product,
        "item": Item,
        "distribution_contract": Contract,
    } | {name: queue.model for name, key in QUEUES.items() if (queue := base.find_queue(key))}
    for name, each in models.items():
        for pk, status in each._default_manager.values_list("pk", "status"):
            if (name, status) not in DELETED:
                found[name, pk] = status
    for pk, gone in TierAccount.objects.values_list("pk", "decommissioned"):
        found["tier_account", pk] = "decommissioned" if gone else "active"
    return found


_PATHS = {tables.PATHS[queue]: name for name, queue in QUEUES.items()} | {
    "/products": "product",
    "/listings": "listing",
    "/contracts": "distribution_contract",
    "/tier/accounts": "tier_account",
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
        self._note(before, after, who, lambda each: name if each == about else f"{name} {kind}")
        if subject and response.status < 300:
            # Staying in a status may be a change, too.
            pk = subject_pk or response.json[_NAMES[about]]["id"]
            was, now = before.get((subject[0], pk)), after.get((subject[0], pk))
            if was is not None and was == now:
                change = Change(subject[0], was, was, who, f"{name} {kind}")
                self.observed.add(Ours(change, True))
        return response

    def by_the_platform(self, run: Callable[[], Any]) -> None:
        """Run a job of the platform, and note the changes."""
        before = _statuses()
        run()
        self._note(before, _statuses(), "system", lambda each: "")

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


def observed(platform: Platform) -> set[Ours]:
    """Return the changes of everything that has a status, in a run through all of it."""
    recorder = Recorder(platform)
    for scene in (_queues, _orders, _drafts, _listings, _products, _contracts, _tier_accounts):
        scene(recorder)
    return recorder.observed


def _queues(recorder: Recorder) -> None:
    """Create objects of each queue and type in each status."""
    ends = ("approved", "failed", "revoked", "completed", "canceled")
    for queue, builder in builders.BUILDERS.items():
        for n, kind in enumerate(tables.TYPES[queue] or ("",)):
            for status in tables.STATUSES[queue]:
                if status in ends or n == 0 or (kind == "change" and status == "draft"):
                    with undone():
                        builder(recorder.platform, status, kind)


def _orders(recorder: Recorder) -> None:
    """Create and end the requests that no builder creates."""
    platform = recorder.platform
    for verb in ("approve", "fail"):
        with undone():
            asset = builders.subscription(platform, "suspended")
            created = recorder.post("D", "/requests", builders.asset_request(asset, "cancel"))
            recorder.post("V", f"/requests/{created['id']}/{verb}", builders.body_of(verb))
    with undone():
        asset = builders.subscription(platform)
        recorder.post("V", "/requests", builders.asset_request(asset, "adjustment"))
    with undone():
        asset = builders.subscription(platform)
        off = {"capabilities": {"subscription": {"hold": False}}}
        recorder.put("V", f"/products/{platform.product}", off)
        recorder.post("D", "/requests", builders.asset_request(asset, "suspend"))
    with undone():
        for scope in ("asset", "tier1"):
            rules = {"required": True}
            make.parameter(platform.catalog, f"{scope}_must", scope=scope, constraints=rules)
        builders.create_order(platform, "purchase")
        builders.create_config_request(platform, "setup")
        recorder.post("D", "/requests", builders.order(platform, builders.reseller("first")))
    with undone():
        tiers = builders.order(platform, builders.reseller("first"))
        tiers["asset"]["tiers"]["tier2"] = builders.reseller("above")
        recorder.post("D", "/requests", tiers)
    for actor in ("V", "D"):
        with undone():
            [config] = platform.by[actor].get("/tier/configs?status=active").json
            body = {"type": "update", "configuration": {"id": config["id"]}}
            pk = recorder.post(actor, "/tier/config-requests", body)["id"]
            recorder.post(actor, f"/tier/config-requests/{pk}/fail", builders.body_of("fail"))


def _drafts(recorder: Recorder) -> None:
    """Turn drafts into requests, and delete old ones."""
    platform = recorder.platform
    for queue in (tables.FULFILLMENT, tables.TIER_CONFIG):
        for kind, verb in (("purchase", "purchase"), ("change", "submit")):
            if queue == tables.TIER_CONFIG:
                kind, verb = {"purchase": "setup", "change": "update"}[kind], "submit"
            with undone():
                pk = builders.BUILDERS[queue](platform, "draft", kind)
                recorder.post("D", f"{tables.PATHS[queue]}/{pk}/{verb}")
            with undone():
                pk = builders.BUILDERS[queue](platform, "draft", kind)
                found = base.find_object(pk)
                assert found is not None
                old = clock.now() - timedelta(days=settings.SIM_DRAFT_DAYS + 1)
                found[0].model._default_manager.filter(pk=pk).update(updated=old)
                recorder.by_the_platform(run_due)


def _listings(recorder: Recorder) -> None:
    """Delete and cancel drafts of new listings, and change a listing directly."""
    platform, path = recorder.platform, tables.PATHS[tables.LISTING]
    with undone():
        [listing] = platform.by["D"].get(f"/listings?product.id={platform.product}").json
        for status in ("unlisted", "listed"):
            recorder.put("D", f"/listings/{listing['id']}", {"status": status})
    for method, verb in (("DELETE", ""), ("POST", "/cancel")):
        with undone():
            Listing.objects.all().delete()
            contract = Contract.objects.get(vendor=platform.catalog.vendor).pk
            body = {"type": "new", "product_id": platform.product, "contract_id": contract}
            pk = recorder.post("V", path, body)["id"]
            recorder.call("V", method, f"{path}/{pk}{verb}")


def _products(recorder: Recorder) -> None:
    """Create, publish, take off sale and delete products and items."""
    path = "/products"
    item = {"name": "Box", "mpn": "BOX", "type": "reservation", "unit": {"id": "unit"}}
    with undone():
        pk = recorder.post("V", path, {"name": "Archive"})["id"]
        part = recorder.post("V", f"{path}/{pk}/items", item)["id"]
        recorder.call("V", "DELETE", f"{path}/{pk}/items/{part}")
        recorder.call("V", "DELETE", f"{path}/{pk}")
    with undone():
        pk = recorder.platform.product
        Product.objects.filter(pk=pk).update(status="draft")
        Item.objects.filter(product=pk).update(status="draft")
        body = {"changes_description": "First.", "public": True}
        recorder.attempt("V", "POST", f"{path}/{pk}/versions", body)
        Product.objects.filter(pk=pk).update(status="published")
        Item.objects.filter(product=pk).update(status="published")
        part = recorder.platform.catalog.item.pk
        for each in (f"{path}/{pk}/items/{part}", f"{path}/{pk}"):
            for verb in ("endsale", "resumesale"):
                recorder.post("V", f"{each}/{verb}", {} if verb == "endsale" else None)


def _contracts(recorder: Recorder) -> None:
    """Take every action of contracts in every status, by both parties."""
    pk = Contract.objects.get(vendor=recorder.platform.catalog.vendor).pk
    for status in PUBLISHED["distribution_contract"]["statuses"]:
        for verb in ("enroll", "sign", "reject", "refine", "terminate"):
            for actor in ("V", "D"):
                with undone():
                    Contract.objects.filter(pk=pk).update(status=status)
                    recorder.attempt(actor, "POST", f"/contracts/{pk}/{verb}")


def _tier_accounts(recorder: Recorder) -> None:
    """Create and decommission a tier account."""
    with undone():
        body = builders.reseller("gone")
        pk = recorder.post("D", "/tier/accounts", body)["id"]
        recorder.call("D", "DELETE", f"/tier/accounts/{pk}")
