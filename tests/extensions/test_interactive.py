"""Validations and actions of products by extensions, for which a caller waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from extensions import actions, interactive
from extensions.models import Environment, Task
from requests_queue.catalog.models import Product
from requests_queue.errors import Refused
from tests.api import Caller, caller
from tests.background import Background
from tests.extensions.conftest import Connect
from tests.extensions.runner import Json
from tests.make import Catalog
from tests.webhooks.validating import (
    called_validator,
    draft,
    platform,
    refused,
    validate,
    validator_response,
    value_errors,
)

VALIDATION = "asset_purchase_request_validation"
ACTION = "product_action_execution"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def catalog(transactional_db: None) -> Catalog:
    """A platform whose purchases are validated."""
    return platform()


@pytest.fixture
def environment(catalog: Catalog) -> Environment:
    """The environment of an extension that validates drafts."""
    environment = actions.create(catalog.vendor, "Test", [catalog.product])
    environment.subscriptions = {VALIDATION: ["draft"], ACTION: []}
    environment.save()
    return environment


@pytest.fixture
def who(catalog: Catalog) -> Caller:
    """The vendor's client."""
    return caller(catalog.vendor)


@contextmanager
def _answering(
    connect: Connect, work: Callable[[], Any], answer: Callable[[Json], Json]
) -> Iterator[Any]:
    """Call something while a runner answers its task; yield what it returned."""
    with connect(kind="interactive") as one:
        one.set_up({VALIDATION: ["draft"], ACTION: []})
        background = Background(work)
        task = one.receive()
        assert task["options"]["task_category"] == "interactive"
        one.answer(task, **answer(task["input"]))
        yield background.result()


def _validated(**params: Any) -> Callable[[Json], Json]:
    """Return what answers a validation with changes by parameter."""

    def answer(sent: Json) -> Json:
        body = sent["data"]
        for each in body["asset"]["params"]:
            each |= params.get(each["id"], {})
        return {"data": {"http_status": 200, "headers": None, "body": body}}

    return answer


def test_answer_is_merged_as_that_of_a_validator(connect: Connect, catalog: Catalog) -> None:
    row = draft(catalog, region="mars", plan="big")
    answer = _validated(region={"value": "moon"}, plan={"value_error": "Too big."})
    with _answering(connect, lambda: validate(catalog, row), answer) as called:
        assert called
    assert value_errors(row) == {"plan": "Too big."}
    assert {each["id"]: each["value"] for each in row.params}["region"] == "moon"
    task = Task.objects.get()
    assert (task.status, task.object_id, task.event_type) == ("succeeded", row.pk, VALIDATION)


def test_webhook_and_extension_validate_the_same(connect: Connect, catalog: Catalog) -> None:
    row = draft(catalog)
    response = validator_response(region={"value_error": "By the webhook."})
    answer = _validated(plan={"value_error": "By the extension."})
    with (
        called_validator(catalog, response),
        _answering(connect, lambda: validate(catalog, row), answer),
    ):
        assert value_errors(row) == {"region": "By the webhook.", "plan": "By the extension."}


@pytest.mark.parametrize(
    "answer",
    [
        {"result": "fail", "message": "Traceback"},
        {"result": "fail", "data": {"http_status": 200, "body": {}}},
        # Somebody waits: nothing is repeated.
        {"result": "retry"},
        {"result": "reschedule", "countdown": 30},
        {"result": "success", "data": {"http_status": 400, "body": {}}},
        {"result": "success", "data": {"http_status": 200, "body": [1]}},
        {"result": "success", "data": {"http_status": 200, "body": {"asset": {"params": 1}}}},
        {"result": "success", "data": [1]},
        {"result": "success"},
    ],
)
def test_other_answers_fail_the_validation(
    connect: Connect, catalog: Catalog, answer: dict[str, Any]
) -> None:
    row = draft(catalog)
    with _answering(connect, lambda: refused(catalog, row), lambda sent: answer) as errors:
        assert errors == []
    assert value_errors(row) == {}
    assert Task.objects.get().status in ("failed", "succeeded")


def test_validation_fails_at_once_without_a_runner(
    environment: Environment, catalog: Catalog
) -> None:
    refused(catalog, draft(catalog))
    assert not Task.objects.exists()


@pytest.mark.parametrize("subscriptions", [{}, {VALIDATION: ["inquiring"]}])
def test_validation_without_a_subscription_passes(
    environment: Environment, catalog: Catalog, subscriptions: dict[str, Any]
) -> None:
    Environment.objects.update(subscriptions=subscriptions)
    assert not validate(catalog, draft(catalog))


def test_nothing_is_validated_without_the_products_capability(
    environment: Environment, catalog: Catalog
) -> None:
    row = draft(catalog)
    Product.objects.update(capabilities={})
    assert not validate(catalog, row)
    assert not Task.objects.exists()


def test_slow_runner_fails_the_validation(
    connect: Connect, catalog: Catalog, settings: Any
) -> None:
    settings.SIM_VALIDATION_TIMEOUT = 0.2
    row = draft(catalog)
    with connect(kind="interactive") as one:
        one.set_up({VALIDATION: []})
        refused(catalog, row)
        task = one.receive()
        one.answer(task, **_validated()(task["input"]))
        # The connection goes on, and the late answer doesn't count.
        settings.SIM_VALIDATION_TIMEOUT = 20
        second = Background(lambda: validate(catalog, row))
        late, task = task, one.receive()
        assert task["options"]["task_id"] != late["options"]["task_id"]
        one.answer(task, **_validated()(task["input"]))
        assert second.result()
    rows = list(Task.objects.order_by("pk").values_list("status", "output"))
    assert rows == [("failed", "No result within 0.2 s."), ("succeeded", "")]


def test_action_of_a_product_is_answered(connect: Connect, catalog: Catalog) -> None:
    data = {"method": "GET", "querystring": {"jwt": ["token"]}}
    answer = {"http_status": 302, "headers": {"Location": "https://example.com/"}, "body": None}

    def execute() -> Any:
        return interactive.execute_action(catalog.product.pk, catalog.vendor.pk, "AS-1", data)

    with _answering(connect, execute, lambda sent: {"data": answer}) as executed:
        assert executed == answer
    task = Task.objects.get()
    assert (task.data, task.response) == (data, answer)
    with (
        pytest.raises(Refused),
        _answering(connect, execute, lambda sent: {"result": "fail"}),
    ):
        pass
    Environment.objects.update(subscriptions={})
    assert execute() is None
