"""The platform of the tests of all queues."""

from __future__ import annotations

import copy

import pytest
from django.test import Client

from tests import copies
from tests.queue import builders
from tests.queue.platforms import Platform


def _set_up() -> Platform:
    platform = Platform()
    builders.set_up(platform)
    return platform


_restored = copies.Restored(_set_up)


@pytest.fixture
def platform(db: None) -> Platform:
    """Two parties with a known reseller."""
    platform = _restored()
    # Of the test's own: tests change its objects, and Django's clients can't be copied.
    clients = {id(caller.client): Client() for caller in platform.by.values()}
    return copy.deepcopy(platform, clients)
