"""`extension`: make an extension for `cextrun`, and see and repeat its tasks."""

from __future__ import annotations

import shlex
from typing import Any

import click

from connect_sim.cli import options, output, running

_PATH = "/sandbox/extensions"
_account = options.party("The party that develops the extension.")


@click.group(cls=options.Group, default="list", example="connect-sim extension list")
def extension() -> None:
    """Make an extension, and see what its runner does."""


@extension.command(example="connect-sim extension add --product PRD-814-505-018")
@click.option("--name", default="Extension", show_default=True)
@click.option(
    "--product",
    "products",
    multiple=True,
    metavar="PRODUCT",
    help="A product that it is for; may be repeated. Default: all of the account.",
)
@click.option(
    "--multi-account", is_flag=True, help="It is installed for all accounts, with tasks of each."
)
@_account
@options.as_json
@options.data_dir
def add(
    name: str, products: tuple[str, ...], multi_account: bool, party: str, as_json: bool
) -> None:
    """Make service, environment and installation; print the line that starts the runner."""
    client = running.client(party)
    body: dict[str, Any] = {"name": name, "products": list(products)}
    if multi_account:
        body["type"] = "multiaccount"
    added = client.call("POST", _PATH, body)
    party_option = "" if party == "vendor" else f" --as {party}"
    values = " ".join(f"{key}={shlex.quote(value)}" for key, value in added["variables"].items())
    lines = (
        f"Made {added['id']} with the environment {added['environment']}.",
        "Start its runner in the folder of the extension, where it is installed:",
        f'  eval "$(connect-sim env{party_option})"',
        f'  API_KEY="$CONNECT_API_KEY" {values} cextrun -n',
        "Without -n, it validates the extension, and asks PyPI for the newest runner of Connect's "
        "version: start the sandbox with SIM_CONNECT_VERSION=43.0 for a runner 43.",
    )
    output.answer(added, as_json, lines)


@extension.command("list", example="connect-sim extension list")
@_account
@options.as_json
@options.data_dir
def list_(party: str, as_json: bool) -> None:
    """List the extensions, the newest first."""
    rows = running.client(party).call("GET", _PATH)
    table = output.table((row["id"], row["environment"], row["type"], row["name"]) for row in rows)
    none = "No extensions. Make one: connect-sim extension add"
    output.answer(rows, as_json, table or [none])


@extension.command(example="connect-sim extension tasks")
@click.argument("environment", required=False)
@_account
@options.as_json
@options.data_dir
def tasks(environment: str | None, party: str, as_json: bool) -> None:
    """List the tasks of ENVIRONMENT, by default of the newest one, the newest first."""
    client = running.client(party)
    rows = list(client.pages(f"{_environment(client, environment)}/tasks", "ordering(-id)"))
    table = output.table(
        (row["id"], row["status"], row["object"]["type"], row["object"]["id"], row["output"][:80])
        for row in rows
    )
    output.answer(rows, as_json, table or ["No tasks."])


@extension.command(example="connect-sim extension resubmit TQ-1234-5678-01-000001")
@click.argument("id", metavar="TASK")
@_account
@options.as_json
@options.data_dir
def resubmit(id: str, party: str, as_json: bool) -> None:
    """Send a task again that has ended."""
    environment = "ENV-" + id.removeprefix("TQ-").rpartition("-")[0]
    client = running.client(party)
    row = client.call("POST", f"{_environment(client, environment)}/tasks/{id}/resubmit")
    output.answer(row, as_json, [f"{row['id']} {row['status']}"])


def _environment(client: Any, environment: str | None) -> str:
    """Return the path of an environment, by default of the newest extension."""
    if environment is None:
        rows = client.call("GET", _PATH)
        if not rows:
            raise click.UsageError("There is no extension. Make one: connect-sim extension add")
        environment = rows[0]["environment"]
    service = environment.replace("ENV-", "SRVC-")[: -len("-01")]
    return f"/public/v1/devops/services/{service}/environments/{environment}"
