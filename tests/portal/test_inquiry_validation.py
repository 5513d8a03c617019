"""The inquiring form with a validator: its effects on the form, failures and races."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from requests_queue.queues import transitions
from requests_queue.queues.fulfillment.models import Request
from tests import make
from tests.api import caller
from tests.background import concurrently
from tests.handlers import Handler, ReceivedRequest, handler
from tests.portal import inquiry_form
from tests.portal.inquiry_form import Page, api_of, visit
from webhooks.delivery import validators as loop
from webhooks.models import Webhook

pytestmark = pytest.mark.django_db(transaction=True)

CHOICES = [{"value": "eu", "label": "EU"}, {"value": "us", "label": "US"}]
OLD = "Please look at this again."


VALID_ALIAS = {"id": "alias", "value_error": ""}
VALID_REGION = {"id": "region", "value_error": ""}


@pytest.fixture(autouse=True)
def stopped() -> Iterator[None]:
    yield
    loop.stop()
    loop.start()


@pytest.fixture
def catalog() -> make.Catalog:
    catalog = make.catalog(capabilities={"inquiring": {"validation": True}})
    make.parameter(catalog, "alias", title="Alias")
    make.parameter(catalog, "region", type="dropdown", constraints={"choices": CHOICES})
    make.parameter(catalog, "secret", constraints={"hidden": True})
    make.parameter(catalog, "tenant", phase="fulfillment")
    return catalog


@pytest.fixture
def validator(catalog: make.Catalog) -> Iterator[Handler]:
    """A validator that returns the received object until a test sets another response."""
    with handler(lambda request: (200, request.body)) as served:
        make.webhook(catalog, served.url, type="inquiring_validator")
        yield served


def respond_with(validator: Handler, *params: dict[str, Any]) -> None:
    """Let the validator respond with these parameters."""

    def respond(request: ReceivedRequest) -> tuple[int, bytes]:
        sent = request.json
        body = {"id": sent["id"], "asset": {"id": sent["asset"]["id"], "params": list(params)}}
        return 200, json.dumps(body).encode()

    validator.respond = respond


@pytest.fixture
def path(catalog: make.Catalog, validator: Handler) -> str:
    """The URL of a form that requests an alias and a region."""
    vendor, distributor = api_of(caller(catalog.vendor)), api_of(caller(catalog.provider))
    values = inquiry_form.entries({"alias": "old", "region": "eu"})
    request = distributor("POST", "/requests", make.purchase(catalog, asset={"params": values}))
    errors = inquiry_form.entries({}, {"alias": OLD, "region": OLD})
    vendor("PUT", f"/requests/{request['id']}", {"asset": {"params": errors}})
    vendor("POST", f"/requests/{request['id']}/inquire", {})
    validator.calls.queue.clear()
    return inquiry_form.link(vendor, request["id"])


def row() -> Request:
    return Request.objects.get()


def param(pk: str) -> dict[str, Any]:
    return next(p for p in row().params if p["id"] == pk)


def send(path: str, **changes: Any) -> Page:
    return visit(Client(), path).send(Client(), **changes)


def check(path: str, *reached: str, **changes: Any) -> Page:
    return visit(Client(), path).check(Client(), *reached, **changes)


def is_sent(page: Page) -> bool:
    return page.outcome == "pending"


def test_handler_receives_the_changed_request(path: str, validator: Handler) -> None:
    check(path, value__alias="new", value__region="us")
    payload = validator.next().json
    assert payload["status"] == "inquiring"
    # Errors of the old values do not apply to new ones.
    assert {p["id"]: (p["value"], p["value_error"]) for p in payload["asset"]["params"]} == {
        "alias": ("new", ""),
        "region": ("us", ""),
        "secret": ("", ""),
        "tenant": ("", ""),
    }


def test_echoed_request_is_valid(path: str) -> None:
    assert is_sent(send(path, value__alias="new", value__region="us"))
    assert row().status == "pending"


def test_repeated_error_prevents_submitting(path: str) -> None:
    page = send(path, value__alias="new")
    assert page.errors == {"alias": "", "region": OLD}
    assert "Your answers were not sent" in page.text
    assert row().status == "inquiring"


def test_validators_errors_are_shown_and_prevent_submitting(path: str, validator: Handler) -> None:
    respond_with(validator, {"id": "alias", "value_error": "Taken."}, VALID_REGION)
    page = send(path, value__alias="new")
    assert page.errors == {"alias": "Taken.", "region": ""}
    assert page.fields["alias"].control["value"] == "new"
    assert (row().status, param("alias")["value"]) == ("inquiring", "new")
    # One call for one submission.
    assert validator.calls.qsize() == 1


def test_structured_error_is_shown_as_text(path: str, validator: Handler) -> None:
    error = {"message": {"id": "E1", "external_id": "x", "value": "Taken, too."}, "context": {}}
    respond_with(validator, {"id": "alias", "structured_error": error})
    assert check(path, value__alias="new").fields["alias"].error == "Taken, too."


def test_parameter_shown_and_required_by_the_validator_must_be_filled_in(
    path: str, validator: Handler
) -> None:
    required = {"id": "secret", "constraints": {"hidden": False, "required": True}}
    respond_with(validator, VALID_ALIAS, VALID_REGION, required)
    page = send(path)
    assert page.fields["secret"].error == "This field is required."
    assert "secret" in visit(Client(), path).fields
    assert row().status == "inquiring"
    assert is_sent(page.send(Client(), value__secret="known"))
    assert param("secret")["value"] == "known"


def test_changed_constraints_show_the_field(
    path: str, validator: Handler, catalog: make.Catalog
) -> None:
    make.parameter(catalog, "later")
    request = row()
    request.params = [*request.params, {**param("alias"), "id": "later", "value_error": ""}]
    request.save()
    assert "later" not in visit(Client(), path).fields
    respond_with(validator, {"id": "later", "constraints": {"readonly": True}})
    assert check(path, value__alias="new").fields["later"].control["disabled"] is True


def test_parameter_hidden_by_the_validator_is_not_sent(path: str, validator: Handler) -> None:
    hidden = {"id": "region", "value_error": "Wrong.", "constraints": {"hidden": True}}
    respond_with(validator, VALID_ALIAS, hidden)
    page = check(path, value__alias="new")
    assert list(page.fields) == ["alias"]
    # The error of a hidden parameter does not block the form.
    assert is_sent(page.send(Client(), value__region="us"))
    assert param("region")["value"] == "eu"


def test_validators_value_replaces_the_typed_one(path: str, validator: Handler) -> None:
    respond_with(validator, {**VALID_ALIAS, "value": "normalised"}, VALID_REGION)
    page = check(path, value__alias="NORMALISED")
    assert page.fields["alias"].control["value"] == "normalised"
    assert is_sent(page.send(Client(), value__alias="Typed anew"))
    assert param("alias")["value"] == "normalised"


def test_removed_choice_must_be_selected_again(path: str, validator: Handler) -> None:
    choices = [{"value": "uk", "label": "UK"}]
    required = {**VALID_REGION, "constraints": {"required": True}, "value_choices": choices}
    respond_with(validator, VALID_ALIAS, required)
    page = send(path, value__region="us")
    region = page.fields["region"]
    assert (region.error, region.control["options"]) == ("Select one.", ["", "uk"])
    assert is_sent(page.send(Client(), value__region="uk"))


@pytest.mark.parametrize("response", [503, (200, b"no JSON"), (200, b'{"id": "PR-other"}')])
def test_failing_handler_does_not_block_submitting(
    path: str, validator: Handler, response: Any
) -> None:
    validator.respond = lambda request: response
    page = check(path, value__alias="new")
    assert "cannot be checked right now. You can still send them." in page.text
    alias = page.fields["alias"]
    assert (alias.control["value"], alias.error, param("alias")["value"]) == ("new", OLD, "old")
    assert is_sent(page.send(Client(), value__alias="new"))
    assert (row().status, param("alias")["value"]) == ("pending", "new")


def test_failing_handler_does_not_skip_required_values(path: str, validator: Handler) -> None:
    request = row()
    request.params = [
        {**p, "constraints": {**p["constraints"], "required": True}} if p["id"] == "alias" else p
        for p in request.params
    ]
    request.save()
    validator.respond = lambda request: 503
    assert send(path, value__alias="").fields["alias"].error == "This field is required."
    assert validator.calls.qsize() == 0


def test_form_without_a_validator_is_not_validated(path: str, validator: Handler) -> None:
    Webhook.objects.update(active=False)
    assert "Checked. Correct 1 answer." in check(path, value__alias="new").text
    assert param("alias")["value"] == "new"
    assert is_sent(send(path))
    assert validator.calls.qsize() == 0


@pytest.mark.parametrize(
    ("answer", "outcome"), [(Page.send, ("outcome", "failed")), (Page.check, ("status", 409))]
)
def test_request_that_changed_status_during_the_validation_is_closed(
    path: str, validator: Handler, catalog: make.Catalog, answer: Any, outcome: tuple[str, Any]
) -> None:
    pk = row().pk

    def moves(request: ReceivedRequest) -> tuple[int, bytes]:
        transitions.move(Request, pk, "fail", catalog.as_vendor, {"reason": "No."})
        connections.close_all()
        return 200, request.body

    page = visit(Client(), path)
    validator.respond = moves
    assert getattr(answer(page, Client(), value__alias="new"), outcome[0]) == outcome[1]
    assert param("alias")["value"] == "old"


def test_one_of_two_concurrent_submissions_is_stored(path: str, validator: Handler) -> None:
    both = Barrier(2, timeout=20)

    def respond(request: ReceivedRequest) -> tuple[int, bytes]:
        both.wait()
        return 200, request.body

    validator.respond = respond
    page = visit(Client(), path)
    pages = concurrently(
        *(
            partial(page.send, Client(), value__alias=name, value__region="us")
            for name in ("first", "second")
        )
    )
    assert [is_sent(each) for each in pages] == [True, True]
    assert row().status == "pending" and param("alias")["value"] in ("first", "second")
    vendor = api_of(caller(row().vendor))
    (conversation,) = vendor("GET", f"/conversations?instance_id={row().pk}")
    messages = vendor("GET", f"/conversations/{conversation['id']}")["messages"]
    # One message each: created, inquired, submitted.
    assert len([each for each in messages if each["type"] == "state_change"]) == 3
