"""`queue`: create samples, run actions and validate drafts in the running sandbox."""

from __future__ import annotations

import json
from typing import Any

import click

from connect_sim.cli import options, output, running, validator

# Added to the time that a validator may take.
_MARGIN = 30


# Those of Connect; a sandbox may have others, and knows them by their object class, too.
_QUEUES = (
    "fulfillment",
    "tier_config",
    "tier_account",
    "billing",
    "listing",
    "usage_file",
    "helpdesk",
)


def _complete_queue(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return [name for name in _QUEUES if name.startswith(incomplete)]


@click.group(cls=options.Group, example="connect-sim queue add fulfillment")
def queue() -> None:
    """Create samples, run actions, validate drafts."""


@queue.command(example="connect-sim queue add fulfillment --type change")
@click.argument("queue", shell_complete=_complete_queue)
@click.option("--type", "type_", help="Default: the queue's first type.")
@click.option("--product", help="Default: a suitable product.")
@click.option("--draft", is_flag=True, help="Create a draft, which can be validated.")
@options.party("The party that creates it.")
@options.as_json
@options.data_dir
def add(
    queue: str, type_: str | None, product: str | None, draft: bool, party: str, as_json: bool
) -> None:
    """Add a sample to a queue: fulfillment, tier_config, …, or an object class."""
    body = {"queue": queue, "type": type_, "product": product, "draft": draft}
    content = running.client(party).call(
        "POST", "/sandbox/queue/samples", {name: value for name, value in body.items() if value}
    )
    output.answer(content, as_json, [_status(content)])


@queue.command(example='connect-sim queue move PR-5810-2277-4101-001 fail --reason "No stock"')
@click.argument("id")
@click.argument("action")
@click.option("--data", default="{}", metavar="JSON", help="The body of the action.")
@click.option("--reason", help="Adds a reason to --data.")
@options.as_json
@options.data_dir
def move(id: str, action: str, data: str, reason: str | None, as_json: bool) -> None:
    """Run an action of an object as the party that may run it."""
    body = _parse(data) | ({"reason": reason} if reason else {})
    content = running.client().call(
        "POST", "/sandbox/queue/moves", {"id": id, "action": action, "data": body}
    )
    output.answer(content, as_json, [_status(content)])


@queue.command(example="connect-sim queue validate PR-5810-2277-4101-001")
@click.argument("id")
@click.option("--data", default="{}", metavar="JSON", help="Changes to validate.")
@options.as_json
@options.data_dir
def validate(id: str, data: str, as_json: bool) -> None:
    """Validate a draft or an inquiry (PR-…, TCR-…) as the distributor."""
    body = {"id": id, "data": _parse(data)}
    content = running.client().call("POST", "/sandbox/queue/validate", body, _timeout())
    changes = (f"  {line}" for line in _changes(content))
    output.answer(content, as_json, [_status(content), *changes])


def _timeout() -> float:
    try:
        return float(running.variable("SIM_VALIDATION_TIMEOUT")) + _MARGIN
    except ValueError:
        return 30 + _MARGIN


def _status(content: dict[str, Any]) -> str:
    # Billing requests have no status.
    return f"{content['id']} {content['status'] or 'of ' + content['product']}"


def _parse(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"not valid JSON: {error}.", param_hint="--data") from None
    if not isinstance(data, dict):
        raise click.BadParameter("must be a JSON object.", param_hint="--data")
    return data


def _changes(content: dict[str, Any]) -> list[str]:
    """Return a line for each change by the validation, or the reason why there is none."""
    lines = validator.describe_changes(content["before"], content["after"])
    if not content["called"]:
        return [
            f"no validator was called: {content['product']} has no enabled webhook for a "
            f"validation of this type and status, or the capability is off",
            *lines,
        ]
    return lines or ["no errors, no changes"]
