"""Every action of every queue in every status by every actor, and the events it creates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from django.db import transaction
from django.urls import get_resolver

from requests_queue.catalog.actors import Actor
from requests_queue.errors import Refused
from requests_queue.queues import base, transitions
from requests_queue.queues.api import QueueCollection, ValidatedCollection
from requests_queue.queues.helpdesk.models import Case
from requests_queue.queues.listing import effects
from requests_queue.queues.usage_file import leases
from requests_queue.queues.usage_file.models import UsageFile
from tests.api import Caller, Response, ids
from tests.marks import nightly
from tests.queue import builders, tables
from tests.queue.platforms import (
    NOBODY,
    STRANGERS,
    Change,
    Platform,
    check_error,
    check_notified,
    everything,
    latest,
    model,
    undone,
)
from tests.queue.tables import BILLING, CASES, FULFILLMENT, LISTING, TIER_CONFIG, USAGE

pytestmark = pytest.mark.django_db

REACHABLE = [queue for queue in tables.TABLES if queue != BILLING]
# Types without drafts.
NO_DRAFTS = ("suspend", "resume", "cancel", "adjustment")
# Requests that change no status and create no event.
ASSIGNED = (FULFILLMENT, TIER_CONFIG, LISTING)
# Responses to callers that are no party.
OTHERS = {**dict.fromkeys(STRANGERS, 404), NOBODY: 401}
LETTERS = {"vendor": "V", "distributor": "D", "system": "S"}


@pytest.fixture
def platform(platform: Platform) -> Platform:
    platform.assets = {s: builders.subscription(platform, s) for s in ("active", "suspended")}
    return platform


def call(platform: Platform, actor: str, queue: str, pk: str, verb: str) -> Response:
    """Take an action on an object; uploads have a valid spreadsheet."""
    path = f"{tables.PATHS[queue]}/{pk}/{verb}"
    by = platform.by[actor]
    if queue == USAGE and verb in ("upload", "reconciliation"):
        return builders.send(by, path, b"record_id,external_billing_id\nr-1,INV-1\n")
    return by.post(path, builders.body_of(verb))


def by_the_platform(queue: str, pk: str, verb: str) -> int:
    """Take an action as the platform, and return the status of the corresponding response."""
    try:
        with transaction.atomic():
            data: dict[str, Any] = builders.body_of(verb) or {}
            if queue == USAGE:
                row = UsageFile.objects.get(pk=pk)
                data = {"claim": row.claim or leases.claim(pk), "columns": {}}
            transitions.move(model(queue), pk, verb, Actor(), data)
    except Refused as refused:
        return refused.status
    return 200


def reachable(queue: str) -> Iterator[tuple[str, str]]:
    """Yield the types of a queue, each with the statuses that its objects can have."""
    for kind in tables.TYPES[queue] or ("",):
        for status in tables.STATUSES[queue]:
            # Only setups, and orders of unconfigured resellers, wait for a setup.
            waits = status == "tiers_setup" and kind not in ("purchase", "setup")
            if not waits and not (status == "draft" and kind in NO_DRAFTS):
                yield kind, status


def a_kind(queue: str) -> str:
    return (*tables.TYPES[queue], "")[0]


# The effects of each type are tested with cascades.
@pytest.mark.parametrize(
    "types", [1, nightly(None, reason="every type: they differ in drafts only")]
)
@pytest.mark.parametrize("queue", REACHABLE)
def test_every_action_in_every_status_by_every_actor(
    queue: str, types: int | None, platform: Platform
) -> None:
    complete = (tables.TYPES[queue] or ("",))[:types]
    for kind, status in reachable(queue):
        if kind not in complete and status != "draft":
            continue
        with undone():
            pk = builders.BUILDERS[queue](platform, status, kind)
            assert model(queue).objects.get(pk=pk).status == status
            before = everything()
            for verb in tables.verbs(queue):
                # Types differ in the actions of drafts, and in the effects of actions.
                if kind == a_kind(queue) or status == "draft":
                    check_refused(platform, queue, kind, status, pk, verb)
            assert everything() == before, f"a refused action from {status} changed something"
            for row in tables.TABLES[queue]:
                if row.source == status and tables.fits(queue, row.verb, kind):
                    for actor in row.actors:
                        with undone():
                            check_action(platform, queue, pk, row, actor)
            if kind == a_kind(queue):
                check_assignment(platform, queue, pk, status)


def check_refused(
    platform: Platform, queue: str, kind: str, status: str, pk: str, verb: str
) -> None:
    """Check the responses to all actors that cannot take the action in this status."""
    for actor in "VDS":
        if tables.legal(queue, verb, status, kind, actor):
            continue
        expected = tables.refusal(queue, verb, status, kind, actor)
        case = f"{verb} of a {kind} from {status} by {actor}"
        if actor == "S":
            assert by_the_platform(queue, pk, verb) == expected, case
        elif not tables.is_callable(queue, verb):
            assert call(platform, actor, queue, pk, verb).status == 404, case
        else:
            response = call(platform, actor, queue, pk, verb)
            assert response.status == expected, (case, response)
            wrong_type = status == "draft" and not tables.fits(queue, verb, kind)
            named = tables.NOT_ALLOWED.get(queue, (verb, status, pk))
            parts = (verb, kind) if wrong_type else named
            check_error(response, *(parts if expected == 400 else (verb, "not for a")))


def check_action(platform: Platform, queue: str, pk: str, row: tables.Row, actor: str) -> None:
    """Check that the action succeeds and notifies each party once."""
    since = latest()
    case = f"{row.verb} from {row.source} by {actor}"
    if actor == "S":
        assert by_the_platform(queue, pk, row.verb) == 200, case
    else:
        response = call(platform, actor, queue, pk, row.verb)
        assert response.status in (200, 201, 204), (case, response)
    assert model(queue).objects.get(pk=pk).status == row.target, case
    assert platform.status(queue, pk) == row.target, case
    is_silent = row.target == row.source or queue == CASES
    change = Change(queue, pk, row.source, row.target)
    check_notified(platform, since, [] if is_silent else [change])


def check_assignment(platform: Platform, queue: str, pk: str, status: str) -> None:
    """Check that both parties can assign their own users, which creates no event."""
    since, path = latest(), f"{tables.PATHS[queue]}/{pk}"
    users = {"V": platform.catalog.vendor_user, "D": platform.catalog.provider_user}
    for verb in ("assign", "unassign"):
        for actor, user in users.items():
            response = platform.by[actor].post(f"{path}/{verb}", {"id": user.uid})
            assert response.status in ((200, 204) if queue in ASSIGNED else (404,)), (verb, status)
    assert platform.status(queue, pk) == status
    check_notified(platform, since, [])


@pytest.mark.parametrize("queue", tables.REFUSED)
def test_invalid_body_changes_nothing(queue: str, platform: Platform) -> None:
    for status, verb, actor, bodies, message in tables.REFUSED[queue]:
        with undone():
            pk = builders.BUILDERS[queue](platform, status, a_kind(queue))
            before = everything()
            for body in bodies:
                response = platform.by[actor].post(f"{tables.PATHS[queue]}/{pk}/{verb}", body)
                assert response.status == 400, (verb, body)
                check_error(response, message)
                assert everything() == before


@pytest.mark.parametrize("queue", tables.TABLES)
def test_declared_actions_match_the_table(queue: str) -> None:
    rules = base.find_queue(queue)
    assert rules is not None
    # The actors of other queues are the same for all objects.
    case = Case(issuer_id="PA-1", receiver_id="VA-1", vendor_id="VA-1", provider_id="PA-1")
    declared = {
        (move.name, source, move.target, LETTERS[role], move.outcomes)
        for move in rules.actions
        for source in move.source
        for role in move.actors_for(case)
    }
    assert declared == {
        (row.verb, row.source, row.target, actor, frozenset(row.others))
        for row in tables.TABLES[queue]
        for actor in row.actors
    }
    assert (rules.status_names, rules.types) == (tables.STATUSES[queue], tables.TYPES[queue])
    leave = {source for source, _ in tables.links(queue)}
    assert rules.final == set(tables.STATUSES[queue]) - leave


def test_document_lists_the_statuses() -> None:
    assert get_resolver().url_patterns, "imports the views"
    documented = {}
    for view in (*QueueCollection.__subclasses__(), *ValidatedCollection.__subclasses__()):
        keys = view.documented.shown.keys if view.documented else {}
        # Connect calls them states of listings.
        field = keys.get("status", keys.get("state", str))
        if listed := get_args(getattr(field, "type", field)):
            documented[view.queue.object_class] = set(listed)
    assert documented == {queue: set(tables.STATUSES[queue]) for queue in documented}
    assert documented.keys() == set(REACHABLE)


def test_deleting_a_listing_draft_creates_no_event(
    platform: Platform,
) -> None:
    path = tables.PATHS[LISTING]
    for status in tables.STATUSES[LISTING]:
        with undone():
            pk = builders.listing_request(platform, status)
            since, before = latest(), everything()
            for actor, expected in {"D": 403, **OTHERS}.items():
                assert platform.by[actor].delete(f"{path}/{pk}").status == expected, (status, actor)
            assert everything() == before
            expected = 204 if status == "draft" else 400
            assert platform.by["V"].delete(f"{path}/{pk}").status == expected, status
            assert model(LISTING).objects.filter(pk=pk).exists() is (expected == 400)
            check_notified(platform, since, [])
    for queue in REACHABLE:
        if queue != LISTING:
            pk = builders.BUILDERS[queue](platform, "pending", a_kind(queue))
            for actor in ("V", "D"):
                assert platform.by[actor].delete(f"{tables.PATHS[queue]}/{pk}").status == 405


def test_action_with_an_undeclared_outcome_changes_nothing(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    pk = builders.BUILDERS[LISTING](platform, "draft", "update")
    before = everything()
    monkeypatch.setattr(effects, "take", lambda request, context: {"status": "completed"})
    with pytest.raises(ValueError, match="submit does not declare the outcome completed"):
        transitions.move(model(LISTING), pk, "submit", platform.catalog.as_vendor)
    assert everything() == before


@pytest.mark.parametrize(
    ("path", "verb"),
    [
        ("/requests", "fail"),
        ("/tier/config-requests", "fail"),
        ("/tier/account-requests", "ignore"),
    ],
)
def test_number_as_a_reason_is_its_digits(vendor: Caller, path: str, verb: str) -> None:
    pk = ids(vendor, f"{path}?status=pending")[0]
    assert vendor.post(f"{path}/{pk}/{verb}", {"reason": 42}).status in (200, 204)
    assert vendor.get(f"{path}/{pk}").json["reason"] == "42"
    for bad in (True, [], {}):
        assert vendor.post(f"{path}/{pk}/{verb}", {"reason": bad}).status == 400
