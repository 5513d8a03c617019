"""`webhook`: create, show, trigger, change and delete webhooks by the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TextIO

import click

from connect_sim.cli import options, output, running
from connect_sim.cli.options import F

_PATH = "/public/v1/notifications/webhooks"

_account = options.party("The party whose webhooks are meant.")


def _about_one(command: F) -> F:
    """Let a command take the id of a webhook, and its owner, and print JSON."""
    decorators = (
        click.argument("id", metavar="WEBHOOK"),
        _account,
        options.as_json,
        options.data_dir,
    )
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


@click.group(cls=options.Group, default="list", example="connect-sim webhook list")
def webhook() -> None:
    """Create, show, trigger, change and delete webhooks."""


@webhook.command(example="connect-sim webhook create http://127.0.0.1:9000/ PRD-814-505-018")
@click.argument("url")
@click.argument("product")
@click.option("--label", help="Default: the URL.")
@click.option(
    "--object-class",
    default="fulfillment_request",
    show_default=True,
    help="The queue that it is about.",
)
@click.option(
    "--type",
    "type_",
    default="event",
    show_default=True,
    help="`event`, or the type of a validator: validator, inquiring_validator, ….",
)
@click.option("--method", type=options.Choice(["POST", "GET"]), default="POST", show_default=True)
@click.option(
    "--secret-file",
    type=click.File(),
    metavar="FILE",
    help="The JWT secret is the content of FILE; `-` is standard input. Default: a new one.",
)
@_account
@options.as_json
@options.data_dir
def create(
    url: str,
    product: str,
    label: str | None,
    object_class: str,
    type_: str,
    method: str,
    secret_file: TextIO | None,
    party: str,
    as_json: bool,
) -> None:
    """Create a webhook that calls URL for PRODUCT; print its id and its JWT secret."""
    body = {
        "label": label or url[:64],
        "product_id": product,
        "object_class": object_class,
        "type": type_,
        "external_url": url,
        "http_method": method,
        "jwt_secret": _read(secret_file) if secret_file else running.new_secret(),
    }
    created = running.client(party).call("POST", _PATH, body)
    output.answer(created, as_json, [f"{created['id']} {created['jwt_secret']}"])


@webhook.command("list", example="connect-sim webhook list --as distributor")
@_account
@options.as_json
@options.data_dir
def list_(party: str, as_json: bool) -> None:
    """List the webhooks, the newest last."""
    rows = list(running.client(party).pages(_PATH, "ordering(created_at)"))
    table = output.table(
        (row["id"], _state(row), row["product"]["id"], row["label"], row["external_url"])
        for row in rows
    )
    output.answer(rows, as_json, table or ["No webhooks."])


@webhook.command(example="connect-sim webhook show WH-310-447-962")
@_about_one
@click.option("--secret", "with_secret", is_flag=True, help="Print its JWT secret, too.")
def show(id: str, party: str, with_secret: bool, as_json: bool) -> None:
    """Show a webhook: what it is about, its state, its counters, and the last calls."""
    row = running.client(party).call("GET", _path(id))
    if not with_secret:
        del row["jwt_secret"]
    stats = row["stats"]
    lines = {
        "Webhook": f"{row['id']} {row['label']}",
        "State": _state(row),
        "About": f"{row['type']} {row['object_class']} of {row['product']['id']}",
        "Request": f"{row['http_method']} {row['external_url']}",
        "Next attempt": output.moment(row["earliest_possible_trigger"]),
        "Events": stats["events"],
        "Requests": f"{stats['triggers']}, {stats['success_triggers']} successful, "
        f"{stats['failure_triggers']} failed",
        "Last success": _attempt(row["last_success"]),
        "Last failure": _attempt(row["last_failure"]),
    }
    if with_secret:
        lines["JWT secret"] = row["jwt_secret"]
    output.answer(row, as_json, output.table(lines.items()))


@webhook.command(example="connect-sim webhook trigger WH-310-447-962")
@_about_one
def trigger(id: str, party: str, as_json: bool) -> None:
    """Trigger now: call the handler at once, whatever the backoff."""
    running.client(party).call("POST", f"{_path(id)}/trigger")
    output.answer({"triggered": id}, as_json, [f"{id} triggered"])


@webhook.command(example="connect-sim webhook enable WH-310-447-962")
@_about_one
def enable(id: str, party: str, as_json: bool) -> None:
    """Let a webhook send requests again."""
    _change(id, party, as_json, active=True)


@webhook.command(example="connect-sim webhook disable WH-310-447-962")
@_about_one
def disable(id: str, party: str, as_json: bool) -> None:
    """Let a webhook send nothing, and cancel its pending deliveries."""
    _change(id, party, as_json, active=False)


@webhook.command(example="connect-sim webhook recover WH-310-447-962")
@_about_one
def recover(id: str, party: str, as_json: bool) -> None:
    """Let a webhook that is out of order send its pending deliveries."""
    before = running.client(party).call("GET", _path(id))
    if not before["stats"]["out_of_order"]:
        raise click.ClickException(f"{id} is not out of order, but {_state(before)}.")
    if not before["active"]:
        raise click.ClickException(f"{id} is disabled: enable it.")
    # Saving a webhook recovers it.
    _change(id, party, as_json)


@webhook.command(example="connect-sim webhook delete WH-310-447-962")
@_about_one
def delete(id: str, party: str, as_json: bool) -> None:
    """Delete a webhook, with its deliveries."""
    running.client(party).call("DELETE", _path(id))
    output.answer({"deleted": id}, as_json, [f"{id} deleted"])


def _read(file: TextIO) -> str:
    try:
        return file.read().strip()
    except UnicodeDecodeError:
        raise click.BadParameter("must be text in UTF-8.", param_hint="--secret-file") from None


def _path(id: str) -> str:
    return f"{_PATH}/{running.segment(id)}"


def _change(id: str, party: str, as_json: bool, **changes: bool) -> None:
    """Change a webhook, and print its state."""
    changed = running.client(party).call("PUT", _path(id), changes)
    del changed["jwt_secret"]
    output.answer(changed, as_json, [f"{id} {_state(changed)}"])


def _state(row: Mapping[str, Any]) -> str:
    if not row["active"]:
        return "disabled"
    if row["stats"]["out_of_order"]:
        return "out of order"
    return "in backoff" if row["earliest_possible_trigger"] else "enabled"


def _attempt(call: Mapping[str, Any] | None) -> str:
    """Return an attempt on one line, empty if there was none."""
    if not call:
        return ""
    result = call["status_code"] or call["errors"]
    return f"{output.moment(call['time'])}: {result} ({call['duration']} ms)"
