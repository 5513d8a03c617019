"""`trace`: what the trace of a failed test or check has, the failing moment first."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from checks import trace_file, trace_views
from checks.outputs.texts import without_command
from checks.trace_file import BadTrace
from checks.trace_views import BadMoment
from connect_sim.cli import options, output
from requests_queue.api.json_diff import format_value, shorten

ATTEMPTS, CALLS, STATE, DIFF = VIEWS = ("attempts", "calls", "state", "diff")
_NOTHING = {
    ATTEMPTS: "There are no deliveries.",
    CALLS: "There are no API calls.",
    STATE: "No object was known then.",
    DIFF: "Nothing has changed, as far as it was shown.",
}
LINES = 30  # of the failing moment at most
# Lines of its sections; the timeline has what they leave.
_REASONS, _EVIDENCE, _CALLS, _CHANGES, _ENTRIES = 4, 4, 2, 2, 12
_WIDTH, _NARROW = 160, 40  # columns where there is no terminal, and at least
_BODY = 4000  # characters of a body that the other views print

Json = dict[str, Any]


@click.command(cls=options.Command, example="connect-sim trace test_it.connect-sim-trace diff")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("view", required=False, type=options.Choice(VIEWS))
@click.option(
    "--at",
    metavar="MOMENT",
    help="For state and diff: a cursor of the timeline, or a platform time such as "
    "2026-11-26T13:50:35. Default: the end.",
)
@click.option(
    "--from",
    "since",
    metavar="MOMENT",
    help="For diff: the moment before. Default: when each object was first seen.",
)
@options.as_json
def trace(file: Path, view: str | None, at: str | None, since: str | None, as_json: bool) -> None:
    """Show the trace of a failed test or check; no sandbox is needed.

    Without a VIEW, the moment of the failure, in at most thirty lines. VIEW is one of: attempts
    (deliveries with requests and responses), calls (API calls), state (how the objects were), diff
    (what has changed in them).
    """
    if (at and view not in (STATE, DIFF)) or (since and view != DIFF):
        raise click.UsageError(f"{'--at' if at else '--from'} has no meaning for this view.")
    with as_usage(file):
        content = trace_file.load(file)
    try:
        start = None if since is None else _place(content, since, "--from")
        end = _place(content, at, "--at")
        if as_json:
            output.print_json(_as_json(content, view, start, end))
            return
        lines = list(_lines(content, view, start, end, file))
    except BadTrace as error:
        raise _bad(file, str(error)) from None
    if view and not lines:
        lines = [_NOTHING[view]]
    for line in map(output.one_line, lines):
        click.echo(without_command(line if view else shorten(line, _width())))


def _width() -> int:
    return max(_NARROW, shutil.get_terminal_size((_WIDTH, 0)).columns)


@contextmanager
def as_usage(file: Path) -> Iterator[None]:
    """Make errors of a file a BadParameter."""
    try:
        yield
    except BadTrace as error:
        raise _bad(file, str(error)) from None
    except OSError as error:
        raise _bad(file, f"It cannot be read: {error.strerror or error}.") from None


def _bad(file: Path, text: str) -> click.BadParameter:
    return click.BadParameter(f"{file}: {text}", param_hint="FILE")


def _place(content: Json, moment: str | None, option: str) -> int:
    try:
        return trace_views.place(content, moment)
    except BadMoment as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _as_json(content: Json, view: str | None, start: int | None, end: int) -> Json:
    """Return all parts, or those of a view."""
    if view is None:
        return content
    if view == ATTEMPTS:
        return {"deliveries": content["deliveries"]}
    if view == CALLS:
        return {"calls": content["calls"]}
    if view == STATE:
        return {"state": trace_views.states(content, end)}
    return {"changes": trace_views.changes(content, start, end)}


def _lines(
    content: Json, view: str | None, start: int | None, end: int, file: Path
) -> Iterator[str]:
    """Yield the lines of a view, or of the failing moment."""
    if view is None:
        yield from _failing_moment(content, file)
    elif view == ATTEMPTS:
        for row in content["deliveries"]:
            objects = ", ".join(row["objects"])
            yield f"Delivery {row['id']}  {row['webhook']}  {objects}  {row['state']}"
            for attempt in row["attempts"]:
                yield from _attempt(attempt, _BODY)
    elif view == CALLS:
        for call in content["calls"]:
            yield from _call(call, _BODY)
    elif view == STATE:
        for pk, state in trace_views.states(content, end).items():
            moment = output.moment(state["at"])
            yield f"{pk}  {state['status'] or '-'}  since {moment}, cursor {state['cursor']}"
            if state["values"]:
                yield from json.dumps(state["values"], indent=2, ensure_ascii=False).split("\n")
    else:
        for row in trace_views.changes(content, start, end):
            yield f"{row['object']}  {trace_views.change_text(row)}"


# The failing moment.


def _failing_moment(content: Json, file: Path) -> Iterator[str]:
    trace, moment = content["trace"], content["trace"]["moment"]
    head = [f"{trace['result'].upper()}: {trace['name']}", *_reasons(trace)]
    rest = [*_exchange(content), *_object(content), *_about(trace, file)]
    entries = content["timeline"]
    left = min(_ENTRIES, LINES - 1 - len(head) - len(rest))
    yield from head
    yield f"Timeline until {output.moment(moment['at'])}:"
    yield from (f"  {line}" for line in _entries(entries, moment, left))
    yield from rest


def _reasons(trace: Json) -> list[str]:
    """Return why it failed, and what a check has seen."""
    failures, width = trace["failures"], _width() - 2
    reasons = [line for each in failures for line in textwrap.wrap(each["text"], width)]
    reasons += [line for each in failures for line in trace_views.miss_texts(each)]
    evidence = []
    for exhibit in (exhibit for each in failures for exhibit in each["evidence"]):
        lines = [line.strip() for line in exhibit["lines"] if line.strip()]
        evidence.append(f"{exhibit['title']}: {' | '.join(lines)}")
    return [f"  {line}" for line in _first(reasons, _REASONS) + _first(evidence, _EVIDENCE)]


def _first(lines: list[str], count: int) -> list[str]:
    """Return the first lines, and how many are left out."""
    if len(lines) <= count:
        return lines
    return [*lines[: count - 1], f"… {len(lines) - count + 1} more"]


def _entries(entries: list[Json], moment: Json, count: int) -> Iterator[str]:
    """Yield the last entries; before them that of the attempt, if it is an earlier one."""
    if not entries:
        yield "(no entries)"
    shown = entries[-count:]
    names = ("delivery", "attempt")
    ended = [
        entry
        for entry in entries[:-count]
        if entry["kind"] == "attempt_finished"
        and all(entry[name] == moment[name] for name in names)
    ]
    if ended:
        shown = entries[2 - count :]
        yield trace_views.entry_text(ended[-1])
        yield f"… {len(entries) - len(shown) - 1} more"
    yield from map(trace_views.entry_text, shown)


def _exchange(content: Json) -> Iterator[str]:
    """Yield the request and the response of the attempt, and the API calls after it."""
    if found := trace_views.attempt(content):
        row, attempt = found
        yield f"Delivery {row['id']} to {row['webhook']}:"
        yield from _first([f"  {line}" for line in _attempt(attempt, _WIDTH)], 4)
    calls = trace_views.handler_calls(content)
    yield f"API calls of the handler{' after it' if found else ''}: {len(calls)}"
    # Those that were refused say most.
    shown = ([call for call in calls if call["status"] >= 400] or calls)[-_CALLS:]
    lines = [line for call in shown[:-1] for line in list(_call(call, _WIDTH))[:1]]
    lines += [line for call in shown[-1:] for line in _call(call, _WIDTH)]
    yield from (f"  {line}" for line in lines)


def _object(content: Json) -> Iterator[str]:
    """Yield how the object of the failure was, and what had changed in it."""
    pk = content["trace"]["moment"]["object"]
    end = len(content["timeline"])
    state = trace_views.states(content, end).get(pk)
    if state:
        changes = [row for row in trace_views.changes(content, None, end) if row["object"] == pk]
        yield f"{pk} is {state['status'] or 'there'}, since {output.moment(state['at'])}."
        yield from _first([f"  {trace_views.change_text(row)}" for row in changes], _CHANGES)


def _about(trace: Json, file: Path) -> Iterator[str]:
    seed = "none" if trace["seed"] is None else trace["seed"]
    versions = ", ".join(f"{name} {version}" for name, version in trace["versions"].items())
    yield f"Seed: {seed}. Versions: {versions}."
    yield f"More: connect-sim trace {file} {'|'.join(VIEWS)}"


# Requests and responses.


def _attempt(attempt: Json, length: int) -> Iterator[str]:
    request, response = attempt["request"], attempt["response"]
    yield (
        f"Attempt {attempt['number']}: {output.moment(attempt['started_at'])}  "
        f"{attempt['outcome']}, {attempt['duration']:g} ms  {attempt['error']}"
    )
    yield f"  {request['method']} {request['url']}  {shorten(request['body'] or '', length)}"
    if length == _BODY:
        for name, value in request["headers"].items():
            yield f"    {name}: {value}"
        yield f"  Token: {format_value((attempt['token'] or {}).get('claims'), length)}"
    if response:
        yield f"  Response: {response['status']} {shorten(response['body'] or '', length)}"


def _call(call: Json, length: int) -> Iterator[str]:
    query = f"?{call['query']}" if call["query"] else ""
    by = "" if call["actor"] == "handler" else f" (by a {call['actor']})"
    yield (
        f"{output.moment(call['started_at'])}  {call['method']} {call['path']}{query} "
        f"{call['status']} {call['error_code']}".rstrip()
        + by
    )
    if call["request_body"]:
        yield f"  sent: {shorten(call['request_body'], length)}"
    if call["response_body"] and (call["status"] >= 400 or length == _BODY):
        yield f"  response: {shorten(call['response_body'], length)}"
