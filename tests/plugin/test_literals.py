"""The words of the plugin's types are those of the product."""

from __future__ import annotations

import runpy
from collections.abc import Iterable
from typing import Any, get_args

import pytest

from requests_queue.catalog.actors import SYSTEM
from requests_queue.catalog.schema import AssetStatus
from requests_queue.queues import base
from sandbox.api.faults import METHODS
from sandbox.faults import kinds
from sandbox.timeline import timeline
from sandbox.waits import task_conditions
from tests.processes import ROOT
from webhooks import states, types
from webhooks.validation_rules import WebhookInput

SOURCE = ROOT / "pytest-connect-sim" / "src" / "pytest_connect_sim"
LITERALS = runpy.run_path(str(SOURCE / "literals.py"))
QUEUES = {
    "PR": ("fulfillment_request", "Order"),
    "TCR": ("tier_config_request", "TierConfig"),
    "TAR": ("tier_account_request", "TierAccount"),
    "LSTR": ("listing_request", "Listing"),
    "UF": ("usage_file", "UsageFile"),
    "CA": ("helpdesk_case", "Case"),
}


def queue_of(object_class: str) -> base.Queue:
    queue = base.find_queue(object_class)
    assert queue is not None
    return queue


def words(name: str) -> list[Any]:
    """Return the words of a type, of all its parts."""

    def flat(type_: Any) -> Iterable[Any]:
        for part in get_args(type_):
            yield from flat(part) if get_args(part) else [part]

    return list(flat(LITERALS[name]))


@pytest.mark.parametrize("prefix", QUEUES)
def test_statuses_and_actions_are_those_of_the_queue(prefix: str) -> None:
    object_class, name = QUEUES[prefix]
    queue = queue_of(object_class)
    assert tuple(words(f"{name}Status")) == queue.status_names == LITERALS["STATUSES"][prefix]
    assert set(words("Status")) >= set(queue.status_names)
    actions = [each.name for each in queue.actions if each.actors - {SYSTEM}]
    assert words(f"{name}Action") == list(dict.fromkeys(actions))
    assert set(words("Action")) >= set(actions)


def test_all_queues_have_types() -> None:
    classes = {queue.object_class for queue in base.registered() if queue.statuses}
    assert classes == {object_class for object_class, _ in QUEUES.values()}
    assert tuple(words("SubscriptionStatus")) == get_args(AssetStatus)
    assert LITERALS["STATUSES"]["AS"] == get_args(AssetStatus)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("FaultKind", kinds.KINDS),
        ("FaultSide", kinds.SIDES),
        ("Method", METHODS),
        ("DeliveryState", states.STATES),
        ("EntryKind", timeline.KINDS),
        ("TaskResult", task_conditions.RESULTS),
        ("ObjectClass", types.PLURALS),
        ("WebhookType", dict.fromkeys(each.type for each in types.registered())),
        ("ListingType", queue_of("listing_request").types),
        ("BillingType", queue_of("billing_request").types),
        ("WebhookMethod", WebhookInput().fields["http_method"].choices),
    ],
)
def test_other_words_are_those_of_the_server(name: str, expected: Iterable[str]) -> None:
    assert set(words(name)) == set(expected)
