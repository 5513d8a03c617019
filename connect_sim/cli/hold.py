"""`hold`: keep the clock from moving on while a handler works."""

from __future__ import annotations

import click

from connect_sim.cli import options, output, running


@click.group(cls=options.Group, default="list", example="connect-sim hold take --ttl 30")
def hold() -> None:
    """Keep the clock from moving on.

    A move of the clock waits until all holds are released or have expired.
    """


@hold.command(example='connect-sim hold take --ttl 30 --note "queue of my handler"')
@click.option(
    "--ttl",
    type=options.Seconds(3600, least=0.001),
    default=30,
    metavar="SECONDS",
    show_default=True,
    help="Real seconds after which it expires.",
)
@click.option("--note", default="", help="Shown by `clock show`.")
@options.as_json
@options.data_dir
def take(ttl: float, note: str, as_json: bool) -> None:
    """Take a hold and print its id."""
    body = {"ttl": ttl, **({"note": note} if note else {})}
    content = running.client().call("POST", "/sandbox/holds", body)
    output.answer(content, as_json, [content["id"]])


@hold.command(example="connect-sim hold release HLD-4711")
@click.argument("id")
@options.as_json
@options.data_dir
def release(id: str, as_json: bool) -> None:
    """Release a hold."""
    running.client().call("DELETE", f"/sandbox/holds/{running.segment(id)}")
    output.answer({"released": id}, as_json, [f"Released {id}."])


@hold.command("list", example="connect-sim hold list --json")
@options.as_json
@options.data_dir
def list_(as_json: bool) -> None:
    """List the holds."""
    holds = running.client().call("GET", "/sandbox/holds")
    rows = [(each["id"], f"{each['expires_in']:.1f} s left", each.get("note")) for each in holds]
    output.answer(holds, as_json, output.table(rows) or ["No holds."])
