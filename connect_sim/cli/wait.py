"""`wait`: wait until a condition about the running sandbox is true."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from checks.client import ApiError
from checks.timeline_lines import describe
from connect_sim.cli import options, output, running
from sandbox.waits.task_conditions import RESULTS

_TIMED_OUT = 408
_TYPE = click.option("--type", metavar="EVENT_TYPE", help="Only of this event type.")


@click.group(
    cls=options.Group, example="connect-sim wait status PR-5810-2277-4101-001 approved --skip"
)
def wait() -> None:
    """Wait until a condition is true; if it is not in time, say why, with exit code 1.

    With --skip, time moves on from one due moment to the next meanwhile.
    """


def _waiting(function: Any) -> Any:
    """Add the options that all conditions have."""
    for option in (
        click.option(
            "--timeout",
            type=options.Seconds(600),
            default=5,
            show_default=True,
            metavar="SECONDS",
            help="Real seconds to wait.",
        ),
        click.option(
            "--since",
            metavar="CURSOR",
            help="Count what has happened since; default: since the last reset.",
        ),
        click.option("--skip", is_flag=True, help="Move time to what is due while waiting."),
        click.option(
            "--within",
            type=options.Duration(),
            metavar="DURATION",
            help="How far time may move; `never` needs it.",
        ),
        options.as_json,
        options.data_dir,
    ):
        function = option(function)
    return function


_AT_MOST = click.option(
    "--attempts-at-most",
    type=click.IntRange(1),
    metavar="N",
    help="Only with this many attempts or fewer.",
)


@wait.command(example="connect-sim wait delivered WH-338-310-411 --attempts-at-most 1")
@click.argument("id", metavar="WEBHOOK|OBJECT")
@_AT_MOST
@_waiting
def delivered(id: str, attempts_at_most: int | None, **more: Any) -> None:
    """Wait for a successful delivery."""
    _wait({"delivered": _without_none(_subject(id), attempts_at_most=attempts_at_most)}, **more)


@wait.command(example="connect-sim wait failed WH-338-310-411")
@click.argument("id", metavar="WEBHOOK|OBJECT")
@_AT_MOST
@_waiting
def failed(id: str, attempts_at_most: int | None, **more: Any) -> None:
    """Wait for a failed attempt."""
    _wait({"failed": _without_none(_subject(id), attempts_at_most=attempts_at_most)}, **more)


@wait.command(example="connect-sim wait called WH-338-310-411 --times 3 --skip")
@click.argument("webhook")
@click.option("--times", type=click.IntRange(0), help="Exactly this many requests.")
@click.option("--at-least", type=click.IntRange(0), help="This many requests or more.")
@click.option("--at-most", type=click.IntRange(0), help="This many requests or fewer.")
@_waiting
def called(
    webhook: str, times: int | None, at_least: int | None, at_most: int | None, **more: Any
) -> None:
    """Wait for a number of requests to a handler."""
    condition = {"webhook": webhook}
    _wait(
        {"called": _without_none(condition, times=times, at_least=at_least, at_most=at_most)},
        **more,
    )


@wait.command(example="connect-sim wait status PR-5810-2277-4101-001 approved --skip")
@click.argument("object")
@click.argument("status")
@_waiting
def status(object: str, status: str, **more: Any) -> None:
    """Wait until an object has a status."""
    _wait({"status": {"object": object, "is": status}}, **more)


@wait.command(example="connect-sim wait idle --skip")
@_waiting
def idle(**more: Any) -> None:
    """Wait until nothing is due or in flight."""
    _wait({"idle": True}, **more)


@wait.command("out-of-order", example="connect-sim wait out-of-order WH-338-310-411 --skip")
@click.argument("webhook")
@_waiting
def out_of_order(webhook: str, **more: Any) -> None:
    """Wait until a webhook is out of order."""
    _wait({"out_of_order": webhook}, **more)


@wait.command(example="connect-sim wait task PR-5810-2277-4101-001 --result fail --skip")
@click.argument("object")
@_TYPE
@click.option("--result", type=options.Choice(RESULTS), default="success", show_default=True)
@_waiting
def task(object: str, type: str | None, result: str, **more: Any) -> None:
    """Wait until a task of an extension about an object has ended."""
    _wait({"task": _without_none({"object": object, "result": result}, type=type)}, **more)


@wait.command(example="connect-sim wait rescheduled PR-5810-2277-4101-001")
@click.argument("object")
@_TYPE
@_waiting
def rescheduled(object: str, type: str | None, **more: Any) -> None:
    """Wait until an extension has rescheduled a task about an object."""
    _wait({"rescheduled": _without_none({"object": object}, type=type)}, **more)


@wait.command(
    example="""connect-sim wait until '{"never": {"called": {"webhook": "WH-338-310-411"}}}' """
    "--within 1h --skip"
)
@click.argument("condition", metavar="JSON")
@_waiting
def until(condition: str, **more: Any) -> None:
    """Wait for a condition as JSON.

    Conditions combine the others by all, any and never.
    """
    try:
        content = json.loads(condition)
    except ValueError as error:
        raise click.BadParameter(f"not valid JSON: {error}.", param_hint="JSON") from None
    _wait(content, **more)


def _subject(id: str) -> dict[str, Any]:
    return {"webhook" if id.startswith("WH-") else "object": id}


def _without_none(condition: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**condition, **{name: value for name, value in more.items() if value is not None}}


def _wait(
    condition: Any,
    *,
    timeout: float,
    since: str | None,
    skip: bool,
    within: str | None,
    as_json: bool,
) -> None:
    body = _without_none({"until": condition, "timeout": timeout}, since=since, within=within)
    if skip:
        body["skip"] = True
    try:
        with running.usage_errors():
            content = running.client().call("POST", "/sandbox/wait", body, timeout + 30)
    except ApiError as error:
        if error.status != _TIMED_OUT or not isinstance(error.content, dict):
            raise
        output.answer(error.content, as_json, _lines(error.content))
        raise click.exceptions.Exit(1) from None
    output.answer(content, as_json, _lines(content))


def _lines(content: dict[str, Any]) -> Iterator[str]:
    yield from content.get("errors") or ["True."]
    yield from (f"  {describe(entry)}" for entry in content.get("evidence") or ())
    yield from (f"Not settled: {each['text']}" for each in content.get("unsettled") or ())
    yield from (f"Nearest: {_miss(miss)}" for miss in content.get("near_misses") or ())
    if entries := content.get("timeline"):
        yield "What happened:"
        yield from (f"  {describe(entry)}" for entry in entries)


def _miss(miss: dict[str, Any]) -> str:
    about = [miss["webhook"], miss["object"]]
    if miss["delivery"]:
        about.append(f"delivery {miss['delivery']}, attempt {miss['attempt']}")
    points = (
        f"{point['field']} is {point['actual']}, not {point['expected']}"
        for point in miss["differs"]
    )
    return f"{' '.join(name for name in about if name)}: {'; '.join(points)}"
