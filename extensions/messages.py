"""Messages between runner and gateway: frames of JSON, as `connect-eaas-core` has them.

`{"version": 2, "message_type": T, "data": {…, "model_type": T}}`: `setup_request` and results of
`task` from the runner, `setup_response`, `task` and `shutdown` to it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from extensions.definitions import BACKGROUND, EVENT_TYPES
from requests_queue.api.json_validation import parse_json, validate_json

SETUP_REQUEST, SETUP_RESPONSE, TASK, SHUTDOWN = (
    "setup_request",
    "setup_response",
    "task",
    "shutdown",
)
MAX_FRAME = 2**21  # bytes, as the published runner has it
MAX_MESSAGE = 4_000  # characters of a task's message
MAX_STATUSES = 50
LONGEST = 86_400 * 366  # seconds of a countdown
RESULTS = ("success", "fail", "skip", "reschedule", "retry")

Json = dict[str, Any]


class BadMessage(Exception):
    """A frame that isn't a message of a runner; the text says why."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a runner declares when it connects."""

    subscriptions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    variables: Sequence[tuple[str, str, bool]] = ()
    schedulables: Sequence[Mapping[str, str]] = ()
    version: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What a runner has sent of a task: `countdown` and `runtime` in seconds.

    `claim_id` is that of the frame which it answers, empty if the runner doesn't repeat it.
    """

    task: int
    result: str
    message: str = ""
    countdown: float = 0
    runtime: float = 0
    data: Any = None
    claim_id: str = ""


def parse(frame: str | bytes | None) -> tuple[str, Json]:
    """Return the type and the data of a message; raises BadMessage."""
    try:
        message = validate_json(parse_json(frame or ""))
    except (ValueError, RecursionError):
        raise BadMessage("A frame is not JSON, or cannot be stored.") from None
    if not isinstance(message, dict) or not isinstance(message.get("message_type"), str):
        raise BadMessage("A frame is not a message with a message_type.")
    if message.get("version") != 2:
        raise BadMessage("Only version 2 of the protocol is spoken: runners since 26.")
    data = message.get("data")
    return message["message_type"], data if isinstance(data, dict) else {}


def read_setup(data: Json) -> Setup:
    """Return what a setup request declares; raises BadMessage.

    Unknown event types are kept: a published extension has a typing error in one.
    """
    empty: Json = {"event_subscriptions": {}, "variables": [], "schedulables": []}
    # Null is what doesn't apply to a runner.
    events, variables, schedulables = (
        default if data.get(key) is None else data[key] for key, default in empty.items()
    )
    if not isinstance(events, dict) or not all(
        isinstance(statuses, list) and all(isinstance(each, str) for each in statuses)
        for statuses in events.values()
    ):
        raise BadMessage("event_subscriptions is not an object of lists of statuses.")
    if not _are_objects(variables, "name") or not _are_objects(schedulables, "method"):
        raise BadMessage("variables or schedulables is not a list of objects with a name.")
    return Setup(
        {name: statuses[:MAX_STATUSES] for name, statuses in events.items()},
        [
            (each["name"][:100], str(each.get("initial_value") or ""), each.get("secure") is True)
            for each in variables
        ],
        [
            {key: str(each.get(key) or "") for key in ("method", "name", "description")}
            for each in schedulables
        ],
        str(data.get("runner_version") or "")[:20],
    )


def _are_objects(values: Any, key: str) -> bool:
    return isinstance(values, list) and all(
        isinstance(each, dict) and isinstance(each.get(key), str) for each in values
    )


def read_result(data: Json) -> Result:
    """Return the result of a task; raises BadMessage."""
    options, output = data.get("options"), data.get("output")
    if not isinstance(options, dict) or not isinstance(output, dict):
        raise BadMessage("A task from a runner has no options or no output.")
    number = str(options.get("task_id")).rpartition("-")[2]
    if not (number.isascii() and number.isdecimal()) or len(number) > 18:
        raise BadMessage("A task from a runner has no task_id.")
    result, message = output.get("result"), output.get("message")
    if result not in RESULTS:
        raise BadMessage(f"A result is none of {', '.join(RESULTS)}.")
    return Result(
        int(number),
        result,
        message[:MAX_MESSAGE] if isinstance(message, str) else "",
        _seconds(output.get("countdown")),
        _seconds(output.get("runtime")),
        output.get("data"),
        str(options.get("correlation_id") or ""),
    )


def _seconds(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return min(max(value, 0), LONGEST) if is_number else 0


def compose(message_type: str, data: Json | None) -> str:
    """Return the frame of a message."""
    content = None if data is None else {**data, "model_type": message_type}
    return json.dumps({"version": 2, "message_type": message_type, "data": content})


def event_definitions() -> list[Json]:
    """Return the event definitions of a setup response."""
    return [
        {
            "event_type": each.type,
            "api_resource_endpoint": each.resource,
            "api_collection_endpoint": each.collection,
            "api_collection_filter": each.filter,
        }
        for each in EVENT_TYPES.values()
        if each.category == BACKGROUND
    ]
