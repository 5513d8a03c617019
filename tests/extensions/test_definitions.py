"""The types of events of extensions, beside the queues that they are about."""

from __future__ import annotations

import pytest

from extensions.definitions import BACKGROUND, EVENT_TYPES, EventType
from requests_queue.queues import base

# Statuses to which no extension can subscribe.
_NOT_THERE = {
    "tier_config_request": {"draft"},
    "tier_account_request": {"unsupported"},
    "usage_file": {"deleted"},
}
OF_QUEUES = [
    each
    for each in EVENT_TYPES.values()
    if each.category == BACKGROUND and base.find_queue(each.object_class)
]


@pytest.mark.parametrize("event_type", OF_QUEUES, ids=lambda each: each.type)
def test_type_has_the_statuses_of_its_queue(event_type: EventType) -> None:
    queue = base.find_queue(event_type.object_class)
    assert queue is not None
    missing = {*queue.status_names} - {*event_type.statuses}
    assert missing == _NOT_THERE.get(event_type.object_class, set())
