"""`fault`: let requests to handlers and responses of the API fail on purpose."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import click

from connect_sim.cli import options, output, running
from sandbox.faults.kinds import KINDS, SIDES, Kind

_SCOPES = ("webhook", "account", "method", "path")
_HEAD = ("ID", "NAME", "CONCERNS", "PARAMETERS", "STATE", "MATCHED", "FIRED")
_NONE = "No faults."


@click.group(
    cls=options.Group,
    default="list",
    example='connect-sim fault add abort --path "/requests/*/approve" --nth 1 status=500',
)
def fault() -> None:
    """Let requests to handlers and responses of the API fail on purpose.

    `fault kinds` lists what can go wrong.
    """


@fault.command(example="connect-sim fault add latency --webhook WH-338-310-411 ms=500 jitter=100")
@click.argument("kind", type=options.Choice(list(KINDS)), metavar="KIND")
@click.argument("parameters", nargs=-1, metavar="[PARAMETER=VALUE]...")
@click.option(
    "--side",
    type=options.Choice(SIDES),
    help="Our requests to handlers, their calls "
    "of the API, or our tasks for extensions. Needed without a scope if the kind has both.",
)
@click.option("--webhook", metavar="WH-…", help="Only requests of this webhook.")
@click.option("--account", metavar="VA-…", help="Only calls of this account, or its tasks.")
@click.option("--method", help="Only calls of this method.")
@click.option(
    "--path",
    help="Only calls of this path below /public/v1: * is any text within a "
    "segment, ** also across segments.",
)
@click.option("--name", help="Its name. Default: the kind and a number.")
@click.option("--probability", type=float, help="How likely it fires for a request, from 0 to 1.")
@click.option(
    "--nth",
    type=int,
    multiple=True,
    metavar="NUMBER",
    help="Fire for this matching request, from 1; may be repeated.",
)
@click.option("--times", type=int, help="How often it fires at most.")
@click.option("--after", type=int, help="How many matching requests it skips first.")
@click.option("--ttl", type=options.Duration(), help="Real time after which it expires.")
@click.option("--seed", type=int, help="Another seed draws other requests.")
@options.as_json
@options.data_dir
def add(
    kind: str, parameters: Sequence[str], nth: Sequence[int], as_json: bool, **rest: Any
) -> None:
    """Arm a fault and print its id and name."""
    body = {name: value for name, value in rest.items() if value is not None}
    if nth:
        body["nth"] = list(nth)
    values = dict(map(_pair, parameters))
    content = running.client().call(
        "POST", "/sandbox/faults", {"kind": kind, "parameters": values, **body}
    )
    output.answer(content, as_json, [f"{content['id']}  {content['name']}"])


@fault.command("list", example="connect-sim fault list --json")
@options.as_json
@options.data_dir
def list_(as_json: bool) -> None:
    """List the faults, how many requests matched, and for how many it fired."""
    content = running.client().call("GET", "/sandbox/faults")
    rows = [_HEAD, *map(_row, content["faults"])]
    output.answer(content, as_json, output.table(rows) if content["faults"] else [_NONE])


@fault.command(example="connect-sim fault clear")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@options.as_json
@options.data_dir
def clear(ids: Sequence[str], as_json: bool) -> None:
    """Clear faults by id, by default all, and print how often they fired."""
    client = running.client()
    if ids:
        paths = [f"/sandbox/faults/{running.segment(each)}" for each in ids]
        content = {"faults": [client.call("DELETE", path) for path in paths]}
    else:
        content = client.call("DELETE", "/sandbox/faults")
    cleared = [
        f"Cleared {each['name']}: fired {each['fired']} of {each['asked']}."
        for each in content["faults"]
    ]
    output.answer(content, as_json, cleared or [_NONE])


@fault.command(example="connect-sim fault release FLT-4711 --count 1")
@click.argument("id")
@click.option("--count", type=int, help="The oldest so many; by default all.")
@options.as_json
@options.data_dir
def release(id: str, count: int | None, as_json: bool) -> None:
    """Release the calls that a fault of kind hold or hold_call holds."""
    path = f"/sandbox/faults/{running.segment(id)}/release"
    content = running.client().call("POST", path, {} if count is None else {"count": count})
    released = (f"Released {call['method']} {call['path']}." for call in content["released"])
    output.answer(content, as_json, [*released, f"{len(content['held'])} still held."])


@fault.command(example="connect-sim fault kinds")
@options.as_json
def kinds(as_json: bool) -> None:
    """List the kinds of faults with their parameters; no sandbox has to run."""
    running.refuse_server()
    output.answer([_described(kind) for kind in KINDS.values()], as_json, _kinds())


def _kinds() -> Iterator[str]:
    for kind in KINDS.values():
        yield kind.name
        yield from (f"  {side}: {text}" for side, text in kind.texts.items())
        yield from (f"    {each.name}: {each.description}" for each in kind.parameters)


def _described(kind: Kind) -> dict[str, Any]:
    parameters = [
        {
            "name": each.name,
            "type": each.type,
            "required": each.is_required,
            "default": None if each.is_required else each.default,
            "text": each.description,
            "sides": [side for side in kind.sides if side in each.sides],
        }
        for each in kind.parameters
    ]
    return {"name": kind.name, "texts": dict(kind.texts), "parameters": parameters}


def _pair(text: str) -> tuple[str, Any]:
    """Return name and value of `name=value`; a value that is JSON is taken as that."""
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise click.UsageError(f"{text!r} is not of the form PARAMETER=VALUE.")
    try:
        return name, json.loads(value, parse_constant=_not_a_number)
    except (ValueError, RecursionError):
        return name, value


def _not_a_number(name: str) -> NoReturn:
    raise ValueError(name)


def _row(row: dict[str, Any]) -> tuple[Any, ...]:
    scope = " ".join(row[name] for name in _SCOPES if row[name])
    parameters = " ".join(f"{name}={value}" for name, value in row["parameters"].items())
    state = "armed" if row["is_armed"] else "over"
    if row["is_armed"] and row["expires_in"] is not None:
        state = f"armed for {row['expires_in']:.0f} s"
    if row["held"]:
        state = f"{state}, holds {len(row['held'])}"
    name = row["name"] if row["name"].startswith(row["kind"]) else f"{row['name']} ({row['kind']})"
    return (
        row["id"],
        name,
        f"{row['side']} {scope}".strip(),
        parameters,
        state,
        row["asked"],
        row["fired"],
    )
