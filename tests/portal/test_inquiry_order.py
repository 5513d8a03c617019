"""Concurrent checks of the inquiring form: the newest one is stored."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

import pytest
from django.db import connections
from django.test import Client

from tests.handlers import Handler, ReceivedRequest
from tests.portal.inquiry_form import Page, visit
from tests.portal.test_inquiry_validation import (
    catalog,
    is_sent,
    param,
    path,
    respond_with,
    stopped,
    validator,
)

pytestmark = pytest.mark.django_db(transaction=True)

__all__ = ["catalog", "path", "stopped", "validator"]


class Slow:
    """Holds the validations of one alias until `release`."""

    def __init__(self, validator: Handler, alias: str) -> None:
        self.alias, self.arrived, self.release = alias, Event(), Event()
        validator.respond = self.respond

    def respond(self, request: ReceivedRequest) -> tuple[int, bytes]:
        values = {p["id"]: p["value"] for p in request.json["asset"]["params"]}
        if values["alias"] == self.alias:
            self.arrived.set()
            assert self.release.wait(20)
        return 200, request.body


def check(form: Page, **sent: str) -> Page:
    try:
        return form.check(Client(), "alias", **sent)
    finally:
        connections.close_all()


def start(pool: ThreadPoolExecutor, slow: Slow, form: Page, **sent: str) -> Future[Page]:
    """Start a check and wait until the handler has it."""
    running = pool.submit(check, form, value__alias=slow.alias, **sent)
    assert slow.arrived.wait(20)
    return running


def test_slow_check_does_not_overwrite_a_newer_one(path: str, validator: Handler) -> None:
    page, slow = visit(Client(), path), Slow(validator, "first")
    with ThreadPoolExecutor(1) as pool:
        first = start(pool, slow, page, page="tab", number="1")
        second = check(page, value__alias="second", page="tab", number="2")
        slow.release.set()
        assert first.result().status == 204
    assert second.fields["alias"].control["value"] == "second"
    assert param("alias")["value"] == "second"


def test_value_changed_back_during_a_slow_check_is_kept(path: str, validator: Handler) -> None:
    page, slow = visit(Client(), path), Slow(validator, "first")
    with ThreadPoolExecutor(1) as pool:
        first = start(pool, slow, page, page="tab", number="1")
        second = check(page, value__alias="old", page="tab", number="2")
        slow.release.set()
        assert first.result().status == 204
    assert second.fields["alias"].control["value"] == "old"
    assert param("alias")["value"] == "old"


def test_check_that_arrives_after_a_newer_one_is_dropped(path: str, validator: Handler) -> None:
    page = visit(Client(), path)
    check(page, value__alias="second", page="tab", number="2")
    assert check(page, value__alias="first", page="tab", number="1").status == 204
    assert param("alias")["value"] == "second"
    assert validator.calls.qsize() == 1


def test_checks_of_another_tab_are_not_compared_by_number(path: str) -> None:
    page = visit(Client(), path)
    check(page, value__alias="first", page="tab", number="7")
    assert check(page, value__alias="other", page="elsewhere", number="1").status == 200
    assert param("alias")["value"] == "other"


def test_check_is_dropped_once_its_form_is_submitted(path: str, validator: Handler) -> None:
    page = visit(Client(), path)
    respond_with(validator, {"id": "alias", "value_error": "Taken."})
    assert not is_sent(page.send(Client(), value__alias="sent", page="tab", number="2"))
    assert check(page, value__alias="late", page="tab", number="3").status == 204
    assert param("alias")["value"] == "sent"


def test_slow_check_changes_nothing_of_a_submitted_form(path: str, validator: Handler) -> None:
    page, slow = visit(Client(), path), Slow(validator, "first")
    with ThreadPoolExecutor(1) as pool:
        first = start(pool, slow, page, page="tab", number="1")
        sent = page.send(Client(), value__alias="old", value__region="us", page="tab", number="2")
        slow.release.set()
        first.result()
    # The alias is still marked as wrong and was not changed, so the form stays.
    assert not is_sent(sent)
    assert param("alias")["value"] == "old"
    assert param("region")["value"] == "us"


@pytest.mark.parametrize(
    ("tab", "number"),
    [("", ""), ("a b", "1"), ("x" * 400, "1"), ("tab", "-1"), ("tab", "9" * 400), ("tab", "²")],
)
def test_invalid_page_or_number_is_tolerated(path: str, tab: str, number: str) -> None:
    page = visit(Client(), path)
    assert check(page, value__alias="first", page=tab, number=number).status == 200
    assert param("alias")["value"] == "first"
