"""`deliveries`, `timeline` and `forecast`: what happened, and what will happen."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import click

from checks import timeline_lines
from checks.client import Client
from connect_sim.cli import options, output, running
from webhooks.states import STATES

# As in sandbox.timeline.timeline, which has the ORM.
KINDS = (
    "change",
    "event",
    "attempt_started",
    "attempt_finished",
    "api_call",
    "message",
    "clock",
    "fault",
    "hold",
    "reset",
    "task",
)

# `timeline --follow`: seconds for which a call waits for entries, for which a call may take, and
# between two calls, in which the entries of a busy sandbox are gathered.
_WAIT, _TIMEOUT, _GATHER = 25, 60, 0.1
_PAGE = 100  # entries of a call by default
_FIRST = 10  # entries with which --follow begins
_LONGEST = 300  # characters of a body that are printed


def _filters(function: Any) -> Any:
    for option in (
        click.option("--webhook", help="Only of this webhook, WH-…"),
        click.option("--object", help="Only about this object, PR-…"),
        click.option("--since", metavar="CURSOR", help="Only what happened after it."),
        options.as_json,
        options.data_dir,
    ):
        function = option(function)
    return function


@click.group(
    cls=options.Group, default="list", example="connect-sim deliveries list --state waiting"
)
def deliveries() -> None:
    """Show deliveries with their attempts."""


@deliveries.command("list", example="connect-sim deliveries list --webhook WH-338-310-411")
@click.option("--state", type=options.Choice(STATES), help="Only deliveries in this state.")
@_filters
def list_(as_json: bool, **filters: Any) -> None:
    """List deliveries, newest first."""
    with running.usage_errors():
        content = running.client().call("GET", running.query("/sandbox/deliveries", **filters))
    rows = [
        (
            row["id"],
            row["webhook"],
            ", ".join(row["objects"]),
            row["state"],
            row["attempts_made"],
            output.moment(row["next_attempt_at"]),
        )
        for row in content["deliveries"]
    ]
    head = ("ID", "WEBHOOK", "OBJECTS", "STATE", "ATTEMPTS", "NEXT ATTEMPT")
    output.answer(content, as_json, _table(head, rows, "No deliveries."))


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]], otherwise: str) -> list[str]:
    return output.table([head, *rows]) if rows else [otherwise]


@deliveries.command(example="connect-sim deliveries show 183")
@click.argument("id", type=int)
@options.as_json
@options.data_dir
def show(id: int, as_json: bool) -> None:
    """Show a delivery: attempts, requests, responses, the handler's API calls."""
    content = running.client().call("GET", f"/sandbox/deliveries/{id}")
    output.answer(content, as_json, _details(content))


def _details(row: dict[str, Any]) -> Iterator[str]:
    yield f"Delivery {row['id']}  {row['webhook']}  {row['state']}"
    for event in row["events"]:
        change = timeline_lines.change(event) if event["object"] else "Trigger now"
        yield f"Event: {output.moment(event['at'])}  {event['object'] or ''} {change}"
    for attempt in row["attempts"]:
        yield from _attempt(attempt)
    if row["next_attempt_at"] or row["next_attempt_reason"]:
        at = output.moment(row["next_attempt_at"])
        yield f"Next attempt: {at}  {row['next_attempt_reason']}"


def _attempt(attempt: dict[str, Any]) -> Iterator[str]:
    request, response, token = attempt["request"], attempt["response"], attempt["token"]
    yield (
        f"Attempt {attempt['number']}: {output.moment(attempt['started_at'])}  "
        f"{attempt['outcome']}, {attempt['duration']} ms"
    )
    yield f"  {request['method']} {request['url']}  {_cut(request['body'])}"
    if token:
        yield f"  Token in {', '.join(token['sent_in'])}: {_cut(json.dumps(token['claims']))}"
    if response:
        yield f"  Response: {response['status']} {_cut(response['body'])}"
    if attempt["faults"]:
        yield f"  Faults: {', '.join(timeline_lines.fault(each) for each in attempt['faults'])}"
    for name in ("error", "reason"):
        if attempt[name]:
            yield f"  {name.capitalize()}: {attempt[name]}"
    activity = attempt["handler_activity"]
    if activity["summary"]:
        yield f"  Handler activity: {activity['summary']}"
    for call in activity["calls"]:
        code = f" {call['error_code']}" if call["error_code"] else ""
        link = "" if call["link"] == "certain" else f" ({call['link']})"
        faults = "".join(f", fault {timeline_lines.fault(each)}" for each in call["faults"])
        yield f"    {call['method']} {call['path']} {call['status']}{code}{link}{faults}"
    for note in activity["notes"]:
        yield f"  Note: {note['text']}"


def _cut(text: str | None) -> str:
    """Return the beginning of a body."""
    if not text:
        return ""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"


@click.command(cls=options.Command, example="connect-sim timeline --follow --kind api_call")
@click.option("--follow", "-f", is_flag=True, help="Print new entries until Ctrl-C.")
@click.option(
    "--kind",
    multiple=True,
    type=options.Choice(KINDS),
    help="Only this kind; may be repeated.",
)
@click.option("--limit", type=click.IntRange(1), help="How many entries at most.")
@_filters
def timeline(follow: bool, since: str | None, as_json: bool, **filters: Any) -> None:
    """Show the latest entries since the last reset, the newest last, or those after --since.

    --follow begins with the last ten, and prints what happens then. --json prints one entry a line
    with --follow, else the answer with its cursor.
    """
    filters["kind"] = ",".join(filters["kind"])
    client = running.client()
    if follow:
        _follow(client, since, as_json, filters)
        return
    chosen = {"since": since} if since else {"latest": "true"}
    content = client.call("GET", running.query("/sandbox/timeline", **chosen, **filters))
    lines = list(map(timeline_lines.describe, content["entries"])) or ["No entries."]
    if earlier := content.get("earlier"):
        text = f"{earlier:,} earlier entries since the last reset: --limit shows more of them."
        lines.insert(0, text)
    output.answer(content, as_json, lines)


def _follow(client: Client, since: str | None, as_json: bool, filters: dict[str, Any]) -> None:
    limit = filters["limit"]
    query = {**filters, "since": since, "wait": _WAIT}
    if not since:
        query = {**filters, "latest": "true", "limit": limit or _FIRST}
    while True:
        path = running.query("/sandbox/timeline", **query)
        page = client.call("GET", path, timeout=_TIMEOUT)
        for entry in page["entries"]:
            if as_json:
                output.print_json(entry, compact=True)
            else:
                output.line(timeline_lines.describe(entry))
        query = {**filters, "since": page["cursor"], "wait": _WAIT}
        if 0 < len(page["entries"]) < (limit or _PAGE):
            time.sleep(_GATHER)


@click.command(cls=options.Command, example="connect-sim forecast WH-338-310-411")
@click.argument("id", metavar="WEBHOOK|EXTENSION")
@options.party("The party that develops the extension.")
@options.as_json
@options.data_dir
def forecast(id: str, party: str, as_json: bool) -> None:
    """Show what is sent next: to a webhook, if each further attempt fails, or to an extension."""
    is_extension = id.startswith("SRVC-")
    path = f"/sandbox/{'extensions' if is_extension else 'webhooks'}/{running.segment(id)}/forecast"
    content = running.client(party).call("GET", path)
    output.answer(content, as_json, (_tasks if is_extension else _attempts)(content))


def _attempts(content: dict[str, Any]) -> list[str]:
    rows: list[tuple[Any, ...]] = [
        (
            row["attempt"],
            output.moment(row["at"]),
            "yes" if row["out_of_order"] else "",
            row["reason"],
        )
        for row in content["rows"]
    ]
    head = ("ATTEMPT", "AT", "OUT OF ORDER", "REASON")
    reason = [content["reason"]] if content["reason"] else []
    return [*reason, *_table(head, rows, "No further attempts.")]


def _tasks(content: dict[str, Any]) -> list[str]:
    rows: list[tuple[Any, ...]] = [
        (row["id"], output.moment(row["at"]), row["type"], row["object"], row["reason"])
        for row in content["rows"]
    ]
    return _table(("ID", "AT", "TYPE", "OBJECT", "REASON"), rows, "No further tasks.")
