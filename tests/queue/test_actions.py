"""Every action of every queue in every status by every actor, and the events it creates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from requests_queue import transitions
from requests_queue.catalog.actors import Actor
from requests_queue.errors import Refused
from requests_queue.queues import base
from requests_queue.queues.usage_file import api as usage_api
from requests_queue.queues.usage_file import leases
from requests_queue.queues.usage_file.models import UsageFile
from tests.api import Response
from tests.queue import reaching, tables
from tests.queue.platforms import (
    NOBODY,
    STRANGERS,
    Change,
    Platform,
    everything,
    latest,
    says,
    told,
    undone,
)  # fmt: skip
from tests.queue.tables import BILLING, FULFILLMENT, LISTING, TIER_CONFIG, USAGE

pytestmark = pytest.mark.django_db

MOVED = [queue for queue in tables.TABLES if queue != BILLING]
# Types that are never drafts.
NO_DRAFTS = ("suspend", "resume", "cancel", "adjustment")
# Requests that change no status and create no event.
ASSIGNED = (FULFILLMENT, TIER_CONFIG, LISTING)
# What those are answered who are no party.
OTHERS = {**dict.fromkeys(STRANGERS, 404), NOBODY: 401}
LETTERS = {"vendor": "V", "distributor": "D", "system": "S"}


@pytest.fixture
def platform() -> Platform:
    made = Platform()
    reaching.set_up(made)
    made.assets = {s: reaching.subscription(made, s) for s in ("active", "suspended")}
    return made


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    # No worker is there that an overtaking submit could wait for.
    monkeypatch.setattr(usage_api, "SUBMIT_WAITS", 0)


def model(queue: str) -> Any:
    model = base.find_queue(queue)
    assert model is not None
    return model.model


def call(platform: Platform, who: str, queue: str, pk: str, verb: str) -> Response:
    """Make a verb of an object; uploads carry a spreadsheet that fits."""
    path = f"{tables.PATHS[queue]}/{pk}/{verb}"
    by = platform.by[who]
    if queue == USAGE and verb in ("upload", "reconciliation"):
        return reaching.send(by, path, b"record_id,external_billing_id\nr-1,INV-1\n")
    return by.post(path, reaching.body_of(verb))


def by_the_platform(queue: str, pk: str, verb: str) -> int:
    """Make a verb as the platform does, and return the status that a caller would be answered."""
    try:
        with transaction.atomic():
            data: dict[str, Any] = reaching.body_of(verb) or {}
            if queue == USAGE:
                row = UsageFile.objects.get(pk=pk)
                data = {"claim": row.claim or leases.claim(pk), "columns": {}}
            transitions.move(model(queue), pk, verb, Actor(), data)
    except Refused as refused:
        return refused.status
    return 200


def reached(queue: str) -> Iterator[tuple[str, str]]:
    """Yield the types of a queue, each with the statuses that its objects come to."""
    for kind in tables.TYPES[queue] or ("",):
        for status in tables.STATUSES[queue]:
            # Only what is set up, or ordered of what isn't, waits for it.
            waits = status == "tiers_setup" and kind not in ("purchase", "setup")
            if not waits and not (status == "draft" and kind in NO_DRAFTS):
                yield kind, status


def a_kind(queue: str) -> str:
    return (*tables.TYPES[queue], "")[0]


@pytest.mark.parametrize("queue", MOVED)
def test_every_action_in_every_status_by_every_actor(queue: str, platform: Platform) -> None:
    for kind, status in reached(queue):
        with undone():
            pk = reaching.REACH[queue](platform, status, kind)
            assert model(queue).objects.get(pk=pk).status == status
            before = everything()
            for verb in tables.verbs(queue):
                # Types differ in who leaves a draft by which verb, and in the effects.
                if kind == a_kind(queue) or status == "draft":
                    refused(platform, queue, kind, status, pk, verb)
                    assert everything() == before, f"{verb} from {status} has changed something"
            for row in tables.TABLES[queue]:
                if row.source == status and tables.fits(queue, row.verb, kind):
                    for who in row.who:
                        with undone():
                            moved(platform, queue, pk, row, who)
            if kind == a_kind(queue):
                assigned(platform, queue, pk, status)


def refused(platform: Platform, queue: str, kind: str, status: str, pk: str, verb: str) -> None:
    """Check what those are answered who can't make the verb from here."""
    for who in "VDS":
        if tables.legal(queue, verb, status, kind, who):
            continue
        wanted = tables.refusal(queue, verb, status, kind, who)
        case = f"{verb} of a {kind} from {status} by {who}"
        if who == "S":
            assert by_the_platform(queue, pk, verb) == wanted, case
        elif not tables.is_callable(queue, verb):
            assert call(platform, who, queue, pk, verb).status == 404, case
        else:
            response = call(platform, who, queue, pk, verb)
            assert response.status == wanted, (case, response)
            wrong_type = status == "draft" and not tables.fits(queue, verb, kind)
            parts = (verb, kind) if wrong_type else (verb, status, pk)
            says(response, *(parts if wanted == 400 else (verb, "not for a")))
    for who, wanted in OTHERS.items():
        assert call(platform, who, queue, pk, verb).status == wanted, (verb, who)


def moved(platform: Platform, queue: str, pk: str, row: tables.Row, who: str) -> None:
    """Check that the action succeeds and notifies each party once."""
    since = latest()
    case = f"{row.verb} from {row.source} by {who}"
    if who == "S":
        assert by_the_platform(queue, pk, row.verb) == 200, case
    else:
        response = call(platform, who, queue, pk, row.verb)
        assert response.status in (200, 201, 204), (case, response)
    assert model(queue).objects.get(pk=pk).status == row.target, case
    assert platform.status(queue, pk) == row.target, case
    stays = row.target == row.source
    told(platform, since, [] if stays else [Change(queue, pk, row.source, row.target)])


def assigned(platform: Platform, queue: str, pk: str, status: str) -> None:
    """Check that either party assigns its own, which is no change of the queue."""
    since, path = latest(), f"{tables.PATHS[queue]}/{pk}"
    users = {"V": platform.catalog.vendor_user, "D": platform.catalog.provider_user}
    for verb in ("assign", "unassign"):
        for who, user in users.items():
            response = platform.by[who].post(f"{path}/{verb}", {"id": user.uid})
            assert response.status in ((200, 204) if queue in ASSIGNED else (404,)), (verb, status)
        for who, wanted in OTHERS.items():
            response = platform.by[who].post(f"{path}/{verb}", {"id": "UR-222-222-001"})
            assert response.status == wanted, (verb, status, who)
    assert platform.status(queue, pk) == status
    told(platform, since, [])


@pytest.mark.parametrize("queue", tables.TABLES)
def test_declared_actions_match_the_table(queue: str) -> None:
    rules = base.find_queue(queue)
    assert rules is not None
    declared = {
        (move.name, source, move.target, LETTERS[role])
        for move in rules.actions
        for source in move.source
        for role in move.actors
    }
    assert declared == {
        (row.verb, row.source, row.target, who) for row in tables.TABLES[queue] for who in row.who
    }
    assert rules.status_names == tables.STATUSES[queue]
    assert rules.types == tables.TYPES[queue]
    leave = {source for source, _ in tables.links(queue)}
    assert rules.final == set(tables.STATUSES[queue]) - leave


def test_deleting_a_listing_draft_creates_no_event(
    platform: Platform,
) -> None:
    path = tables.PATHS[LISTING]
    for status in tables.STATUSES[LISTING]:
        with undone():
            pk = reaching.listing_request(platform, status)
            since, before = latest(), everything()
            for who, wanted in {"D": 403, **OTHERS}.items():
                assert platform.by[who].delete(f"{path}/{pk}").status == wanted, (status, who)
            assert everything() == before
            wanted = 204 if status == "draft" else 400
            assert platform.by["V"].delete(f"{path}/{pk}").status == wanted, status
            assert model(LISTING).objects.filter(pk=pk).exists() is (wanted == 400)
            told(platform, since, [])
    for queue in MOVED:
        if queue != LISTING:
            pk = reaching.REACH[queue](platform, "pending", a_kind(queue))
            for who in ("V", "D"):
                assert platform.by[who].delete(f"{tables.PATHS[queue]}/{pk}").status == 405


def test_action_on_a_missing_object_returns_404(platform: Platform) -> None:
    for queue in MOVED:
        for verb in tables.verbs(queue):
            for who in ("V", "D"):
                assert call(platform, who, queue, "XX-000", verb).status == 404
