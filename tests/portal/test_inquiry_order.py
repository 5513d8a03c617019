"""Concurrent checks of the inquiring form: the newest one is stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

import pytest
from django.test import Client

from tests.background import Background
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


def check(form: Page, alias: str, number: str = "1", tab: str = "tab") -> Page:
    return form.check(Client(), "alias", value__alias=alias, page=tab, number=number)


@contextmanager
def slow_check(validator: Handler, form: Page) -> Iterator[Background]:
    """Start a check of the alias `first` that ends after the block."""
    arrived, release = Event(), Event()

    def respond(request: ReceivedRequest) -> tuple[int, bytes]:
        values = {p["id"]: p["value"] for p in request.json["asset"]["params"]}
        if values["alias"] == "first":
            arrived.set()
            assert release.wait(20)
        return 200, request.body

    validator.respond = respond
    running = Background(lambda: check(form, "first"))
    assert arrived.wait(20)
    yield running
    release.set()
    running.result()


@pytest.mark.parametrize("newer", ["second", "old"])
def test_slow_check_does_not_overwrite_a_newer_one(
    path: str, validator: Handler, newer: str
) -> None:
    page = visit(Client(), path)
    with slow_check(validator, page) as first:
        second = check(page, newer, "2")
    assert first.result().status == 204
    assert second.fields["alias"].control["value"] == param("alias")["value"] == newer


def test_check_that_arrives_after_a_newer_one_is_dropped(path: str, validator: Handler) -> None:
    page = visit(Client(), path)
    check(page, "second", "2")
    assert check(page, "first", "1").status == 204
    assert (param("alias")["value"], validator.calls.qsize()) == ("second", 1)


def test_checks_of_another_tab_are_not_compared_by_number(path: str) -> None:
    page = visit(Client(), path)
    check(page, "first", "7")
    assert check(page, "other", "1", "elsewhere").status == 200
    assert param("alias")["value"] == "other"


def test_check_is_dropped_once_its_form_is_submitted(path: str, validator: Handler) -> None:
    page = visit(Client(), path)
    respond_with(validator, {"id": "alias", "value_error": "Taken."})
    assert not is_sent(page.send(Client(), value__alias="sent", page="tab", number="2"))
    assert check(page, "late", "3").status == 204
    assert param("alias")["value"] == "sent"


def test_slow_check_changes_nothing_of_a_submitted_form(path: str, validator: Handler) -> None:
    page = visit(Client(), path)
    with slow_check(validator, page):
        sent = page.send(Client(), value__alias="old", value__region="us", page="tab", number="2")
    # The alias is still marked as wrong and was not changed, so the form stays.
    assert not is_sent(sent)
    assert (param("alias")["value"], param("region")["value"]) == ("old", "us")


@pytest.mark.parametrize(
    ("tab", "number"),
    [("", ""), ("a b", "1"), ("x" * 400, "1"), ("tab", "-1"), ("tab", "9" * 400), ("tab", "²")],
)
def test_invalid_page_or_number_is_tolerated(path: str, tab: str, number: str) -> None:
    assert check(visit(Client(), path), "first", number, tab).status == 200
    assert param("alias")["value"] == "first"
