"""Readings: each alternative changes what it says, and nothing else."""

from __future__ import annotations

from functools import cache

import pytest
from django.db import transaction

from requests_queue.alternatives import ALTERNATIVES
from sandbox.readings import chosen
from tests.sandbox.readings.platform import Facts, observe

pytestmark = pytest.mark.django_db

# What differs from the facts of the defaults.
DIFFERENCES: dict[str, Facts] = {
    "jwt_header=authentication": {"headers with the token": ["authentication"]},
    "jwt_header=authorization": {"headers with the token": ["authorization"]},
    "object_class_form=singular": {"object class": {"fulfillment_request"}},
    "api_url_slash=present": {
        "slash of the API URL": {True},
        "slash of the webhook's API URL": True,
    },
    "event_mode=coalesce": {"pending deliveries": False},
    "draft_events=created": {"events of a draft": 1},
    "update_events=updated": {"events of a PUT": 1},
    "created_status=pending": {"events of an order that has to wait": 2},
    "cancel_suspended=refused": {"cancel of a suspended subscription": (400, "REQ_003")},
    "request_updates=any": {"PUT of an inquiry": (200, "inquiring")},
    "update_code=REQ_003": {
        "PUT of an inquiry": (400, "REQ_003"),
        "PUT of a failed order": (400, "REQ_003"),
    },
    "wrong_status_code=VAL_001": {"approve of a failed order": (400, "VAL_001")},
    "approve_template=required": {
        "approve without a template": (400, "REQ_005"),
        "approve of a tier request": 400,
    },
    "pending_template=absent": {
        "template of a pending order": False,
        "template of an inquiry": False,
        "filtered by template": 0,
    },
    "value_errors=cleared": {
        "errors after pend": ["", ""],
        "errors of the subscription": ["", ""],
    },
    "usage_processed=uploaded": {"usage file": ("uploaded", "")},
    "action_status=200": {"assign of a tier request": 200},
    "action_status=204": {
        "inquire": (204, ""),
        "approve without a template": (204, ""),
        "approve of a tier request": 204,
    },
    "default_page=10": {"objects of a page": False},
    "invalid_limit=ignored": {"limit that is no number": 200},
    "date_precision=microseconds": {"date of an order": 32},
    "key_order=reversed": {
        "first key of an order": "template",
        "first keys of a request": ["data", "exp"],
    },
    "unknown_keys=present": {
        "unknown key of an order": True,
        "unknown keys of a list": {True},
        "unknown keys of a request": {True},
    },
}


@cache
def by_default() -> Facts:
    """Return what is observed by default."""
    with transaction.atomic():
        facts = observe()
        transaction.set_rollback(True)
    return facts


def test_each_alternative_has_its_differences() -> None:
    others = {f"{name}={word}" for name, words in ALTERNATIVES.items() for word in words[1:]}
    assert DIFFERENCES.keys() == others


@pytest.mark.parametrize("choice", DIFFERENCES)
def test_alternative_changes_what_it_says(choice: str) -> None:
    expected = {**by_default(), **DIFFERENCES[choice]}
    assert expected != by_default()
    name, _, alternative = choice.partition("=")
    chosen.choose({name: alternative})
    assert observe() == expected
