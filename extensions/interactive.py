"""Interactive tasks: validations and actions of products, for which somebody waits."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from extensions import definitions, dispatch, fan_out
from extensions.models import NEW, SUCCEEDED, Instance, Task
from extensions.signals import wake
from requests_queue import clock
from requests_queue.errors import Refused
from requests_queue.queues.transitions import Change
from requests_queue.queues.validation import ValidationRequest
from requests_queue.queues.validator_responses import InvalidResponse, ParsedResponse
from webhooks import types
from webhooks.delivery.validators import NOT_AVAILABLE

ACTION = "product_action_execution"


def validate(request: ValidationRequest) -> list[ParsedResponse]:
    """Send a draft or an open inquiry to the extensions that validate it; return what they answer.

    Refused (400 `VAL_100`) where one has no runner, is slow, fails or answers something else.
    """
    # As validators: only where the product has the capability.
    same = types.find_validator(request.object_class, request.kind, request.status, request.level)
    event_type = definitions.validation(request.object_class, request.kind)
    if event_type is None or same is None or same.trigger is None:
        return []
    if same.trigger.missing_capability(request.product):
        return []
    change = Change(
        request.object_class,
        request.object_id,
        request.product.pk,
        (request.vendor_id,),
        request.status,
        request.status,
        clock.now(),
        type=request.kind,
    )
    tasks = _call(change, event_type.type, request.shown)
    return [_read(task, request) for task in tasks]


def _read(task: Task, request: ValidationRequest) -> ParsedResponse:
    answer = task.response if isinstance(task.response, Mapping) else {}
    if task.status != SUCCEEDED or answer.get("http_status", 200) != 200:
        raise Refused("VAL_100", NOT_AVAILABLE)
    try:
        return request.read(answer.get("body"))
    except InvalidResponse as error:
        why = f"The answer of {task.shown_id} is not merged: {error}"
        Task.objects.filter(pk=task.pk).update(output=why)
        raise Refused("VAL_100", NOT_AVAILABLE) from None


def execute_action(
    product_id: str, account_id: str, action_id: str, data: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Let the extension of a product execute an action; None where none subscribes to it.

    Returns `{"http_status", "headers", "body"}`, with a status that HTTP has. Raises Refused where
    there is no runner, or no such answer in time.
    """
    change = Change("", action_id, product_id, (account_id,), None, "", clock.now())
    tasks = _call(change, ACTION, dict(data))
    if not tasks:
        return None
    answer = tasks[0].response if isinstance(tasks[0].response, Mapping) else {}
    status, headers = answer.get("http_status"), answer.get("headers")
    if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status < 600:
        raise Refused("REQ_003", f"The extension has not answered. See {tasks[0].shown_id}.")
    is_table = isinstance(headers, Mapping)
    return {
        "http_status": status,
        "headers": headers if is_table else {},
        "body": answer.get("body"),
    }


def _call(change: Change, event_type: str, data: dict[str, Any]) -> list[Task]:
    """Send an interactive task to each extension that subscribes to it, and wait for all."""
    installations = fan_out.subscribers(change, event_type)
    if not installations:
        return []
    connected = Instance.objects.filter(
        environment__in=[each.environment_id for each in installations],
        kind=definitions.INTERACTIVE,
        connection__isnull=False,
    )
    with_runner = set(connected.values_list("environment", flat=True))
    if any(each.environment_id not in with_runner for each in installations):
        raise Refused("VAL_100", NOT_AVAILABLE)
    # `durable`: a caller inside a transaction would hold it while it waits.
    with transaction.atomic(durable=True):
        tasks = [
            Task.objects.create(
                environment=each.environment,
                installation=each,
                event_type=event_type,
                category=definitions.INTERACTIVE,
                object_id=change.object_id,
                data=data,
                status=NEW,
                created_at=change.at,
            )
            for each in installations
        ]
        transaction.on_commit(partial(wake.send, sender=None), robust=True)
    if not connection.in_atomic_block:
        connection.close()
    return dispatch.wait_for([task.pk for task in tasks], settings.SIM_VALIDATION_TIMEOUT)
