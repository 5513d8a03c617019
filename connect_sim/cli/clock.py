"""`clock`: show and move the platform time of the running sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from connect_sim.cli import options, output, running, world
from requests_queue.time_format import format_ahead

# Seconds; a move waits for handlers at each of its stops.
_TIMEOUT = 3600


@click.group(cls=options.Group, default="show", example="connect-sim clock advance 5m")
def clock() -> None:
    """Show and move the platform time.

    Durations are like 45s, 5m, 1h30m, 2d or P1DT2H.
    """


@clock.command(example="connect-sim clock show")
@options.as_json
@options.data_dir
def show(as_json: bool) -> None:
    """Show the platform time.

    Also what a move would wait for now.
    """
    content = running.client().call("GET", "/sandbox/clock")
    output.answer(content, as_json, _state(content))


def _state(content: dict[str, Any]) -> Iterator[str]:
    ahead = content["offset"]
    span = f", {format_ahead(ahead)} ahead of real time" if ahead >= 1 else ""
    yield f"{output.moment(content['now'])}{span}"
    if content["moving"]:
        yield "The clock is being moved."
    yield "Settled." if content["settled"] else "Not settled:"
    if not content["settled"]:
        yield from (f"  {each['text']}" for each in content["waiting_for"])


def _settle_options(function: Any) -> Any:
    patience = click.option(
        "--patience",
        type=options.Seconds(600),
        metavar="SECONDS",
        help="Real seconds that each stop waits for handlers; default: 10.",
    )
    settle = click.option(
        "--settle",
        type=click.IntRange(0),
        metavar="MS",
        help="Settle time in milliseconds; default: learned for each handler.",
    )
    return patience(settle(options.as_json(options.data_dir(function))))


@clock.command(example="connect-sim clock advance 1h30m")
@click.argument("by", type=options.Duration(), metavar="DURATION")
@_settle_options
def advance(by: str, **more: Any) -> None:
    """Move time forward, and run what becomes due.

    0s runs what is due now.
    """
    _move("advance", {"by": by}, **more)


@clock.command("next", example="connect-sim clock next")
@_settle_options
def next_(**more: Any) -> None:
    """Move to the next due attempt, and run it."""
    _move("next", {}, **more)


@clock.command("run-until-idle", example="connect-sim clock run-until-idle --max 3d")
@click.option(
    "--max", "longest", type=options.Duration(), metavar="DURATION", help="How far to move at most."
)
@click.option("--max-steps", type=click.IntRange(1), help="How many due times at most.")
@_settle_options
def run_until_idle(longest: str | None, max_steps: int | None, **more: Any) -> None:
    """Move on until nothing is left to do."""
    _move("run-until-idle", {"max": longest, "max_steps": max_steps}, **more)


@clock.command(example="connect-sim clock reset")
@world.with_patience
@options.as_json
@options.data_dir
def reset(patience: float | None, as_json: bool) -> None:
    """Put clock and data back to the demo data."""
    world.reset_sandbox(patience, as_json)


def _move(
    action: str, body: dict[str, Any], *, as_json: bool, patience: float | None, settle: int | None
) -> None:
    body = {**body, "patience": patience, "settle": settle}
    given = {name: value for name, value in body.items() if value is not None}
    result = running.client().call("POST", f"/sandbox/clock/{action}", given, _TIMEOUT)
    output.answer(result, as_json, summary(result))


def summary(move: dict[str, Any]) -> list[str]:
    """Return the answer of a move as lines."""
    attempts = move["attempts"]
    succeeded = sum(each["outcome"] == "success" for each in attempts)
    plural = "" if len(attempts) == 1 else "s"
    counts = (
        f"{len(attempts)} attempt{plural}: {succeeded} succeeded, "
        f"{len(attempts) - succeeded} failed"
        if attempts
        else "no attempts"
    )
    return [
        f"{output.moment(move['from'])} → {output.moment(move['now'])}, {counts}",
        *(f"  {_attempt(each)}" for each in attempts),
        *_stopped(move),
        *(f"Not waited for: {_text(each)}" for each in move["unsettled"]),
        *(f"Failed: {name}. See the log of the sandbox." for name in move["failed"]),
    ]


def _attempt(each: dict[str, Any]) -> str:
    result = each["status"] or each["error"] or each["outcome"]
    objects = ", ".join(each["objects"]) or "Trigger now"
    following = each["next_attempt_at"]
    after = f", next attempt at {output.moment(following)}" if following else ""
    return (
        f"{output.moment(each['at'])}  {each['webhook']} {objects}  delivery {each['delivery']}, "
        f"attempt {each['attempt']}: {result}{after}"
    )


def _stopped(move: dict[str, Any]) -> list[str]:
    reason = {
        "idle": "Stopped: nothing is left to do.",
        "max": "Stopped: the longest time (--max) is reached.",
        "max_steps": "Stopped: the number of steps (--max-steps) is reached.",
    }.get(move["stopped_because"])
    return [reason] if reason else []


def _text(unsettled: Any) -> str:
    return str(unsettled["text"] if isinstance(unsettled, dict) else unsettled)
