"""`reset` and `snapshot`: the data of the running sandbox as a whole."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from checks.client import ApiError, Client, Part
from checks.sandbox_file import NoSandbox
from connect_sim.cli import options, output, running
from connect_sim.cli.errors import CliError, Code
from requests_queue import whole_files
from sandbox.snapshot_files.format import MAX_PACKED, MIB

# Seconds; a reset waits for handlers first.
_TIMEOUT = 660


with_patience = click.option(
    "--patience",
    type=options.Seconds(600),
    metavar="SECONDS",
    help="Real seconds that requests and handlers may take to finish first.",
)


def _complete_name(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of snapshots; none where no sandbox can be asked."""
    try:
        with ctx:
            rows = running.client().call("GET", "/sandbox/snapshots", timeout=2)
    except (ApiError, NoSandbox, click.ClickException):
        return []
    return [row["name"] for row in rows if row["name"].startswith(incomplete)]


@click.command(cls=options.Command, example="connect-sim reset")
@with_patience
@options.as_json
@options.data_dir
def reset(patience: float | None, as_json: bool) -> None:
    """Put data and clock back to the demo data.

    Sign-ins, keys and settings stay.
    """
    reset_sandbox(patience, as_json)


def reset_sandbox(patience: float | None, as_json: bool) -> None:
    """Reset the sandbox and print the answer."""
    _replace("/sandbox/reset", patience, as_json, "Reset")


@click.group(cls=options.Group, default="list", example="connect-sim snapshot save before-upgrade")
def snapshot() -> None:
    """Save and restore the sandbox's data by name."""


@snapshot.command(example="connect-sim snapshot save before-upgrade")
@click.argument("name")
@click.option("--replace", is_flag=True, help="Replace a snapshot of this name.")
@options.as_json
@options.data_dir
def save(name: str, replace: bool, as_json: bool) -> None:
    """Save the present data."""
    body = {"name": name, **({"replace": True} if replace else {})}
    content = running.client().call("POST", "/sandbox/snapshots", body, _TIMEOUT)
    output.answer(content, as_json, [f"Saved {name}."])


@snapshot.command(example="connect-sim snapshot restore before-upgrade")
@click.argument("name", shell_complete=_complete_name)
@with_patience
@options.as_json
@options.data_dir
def restore(name: str, patience: float | None, as_json: bool) -> None:
    """Put data and clock back to those of a snapshot."""
    path = f"/sandbox/snapshots/{running.segment(name)}/restore"
    _replace(path, patience, as_json, f"Restored {name}")


@snapshot.command(example="connect-sim snapshot export before-upgrade before-upgrade.jsonl.gz")
@click.argument("name", shell_complete=_complete_name)
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@click.option(
    "--with-secrets", is_flag=True, help="Include the secrets of the vendor's webhooks, readable."
)
@options.as_json
@options.data_dir
def export(name: str, file: Path, with_secrets: bool, as_json: bool) -> None:
    """Write a snapshot to FILE (- is standard output), for another sandbox.

    Users and keys are left out, and secrets are masked.
    """
    is_stdout = str(file) == "-"
    if as_json and is_stdout:
        raise click.UsageError("--json needs a FILE, not standard output.")
    path = running.query(
        f"/sandbox/snapshots/{running.segment(name)}/file", secrets="true" if with_secrets else ""
    )
    content = running.client().download(path, _TIMEOUT)
    if with_secrets:
        text = "The file contains secrets of webhooks, readable. Do not publish it."
        click.echo(f"Warning: {text}", err=True)
    if is_stdout:
        sys.stdout.buffer.write(content)
        return
    try:
        _write(file, content)
    except OSError as error:
        text = f"{file} cannot be written: {error.strerror}."
        raise CliError(Code.CANNOT_WRITE, text) from None
    answer = {"file": str(file), "bytes": len(content)}
    output.answer(answer, as_json, [f"Exported {name} to {file}."])


@snapshot.command("import", example="connect-sim snapshot import before-upgrade.jsonl.gz")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--name", help="The snapshot's name. Default: the name that it was exported from.")
@click.option("--replace", is_flag=True, help="Replace a snapshot of this name.")
@options.as_json
@options.data_dir
def import_(file: Path, name: str | None, replace: bool, as_json: bool) -> None:
    """Save FILE (- is standard input) as a snapshot. Restore it to use it.

    Webhooks and products get new secrets, unless the file has them.
    """
    content = import_file(running.client(), file, name, replace=replace)
    secrets = (
        f"New secrets of {what}: {', '.join(ids)}."
        for what, ids in content["new_secrets"].items()
        if ids
    )
    headers = (
        f"Headers of {webhook} without their values: {', '.join(names)}."
        for webhook, names in content["headers"].items()
    )
    imported = f"Imported {content['snapshot']['name']}."
    output.answer(content, as_json, [imported, *secrets, *headers])


def import_file(
    client: Client, file: Path, name: str | None = None, *, replace: bool = False
) -> dict[str, Any]:
    """Import a file to a sandbox, and return the answer; raises BadParameter, ApiError."""
    try:
        with nullcontext(sys.stdin.buffer) if str(file) == "-" else file.open("rb") as opened:
            # It may have no end.
            content = opened.read(MAX_PACKED + 1)
    except OSError as error:
        text = f"{file} cannot be read: {error.strerror}."
        raise click.BadParameter(text, param_hint="FILE") from None
    if len(content) > MAX_PACKED:
        text = f"{file} is larger than {MAX_PACKED // MIB} MiB."
        raise click.BadParameter(text, param_hint="FILE")
    form = [Part("file", content, "snapshot.jsonl.gz")]
    if name is not None:
        form.append(Part("name", name.encode()))
    if replace:
        form.append(Part("replace", b"true"))
    imported: dict[str, Any] = client.upload("/sandbox/snapshot-files", form, _TIMEOUT)
    return imported


def _write(file: Path, content: bytes) -> None:
    """Write a file that only its owner may read, completely or not at all.

    A device or a pipe, such as /dev/null or `>(…)`, is written to. A link stays.
    """
    if file.exists() and not file.is_file():
        file.write_bytes(content)
        return
    whole_files.write(Path(os.path.realpath(file)), content)


@snapshot.command("list", example="connect-sim snapshot list")
@options.as_json
@options.data_dir
def list_(as_json: bool) -> None:
    """List the snapshots."""
    content = running.client().call("GET", "/sandbox/snapshots")
    table = output.table(
        (
            each["name"],
            output.moment(each["created"]),
            "" if each["usable"] else "not usable: of another version",
        )
        for each in content
    )
    output.answer(content, as_json, table or ["No snapshots."])


@snapshot.command(example="connect-sim snapshot diff before-upgrade now")
@click.argument("first", shell_complete=_complete_name)
@click.argument("second", default="now", shell_complete=_complete_name)
@options.as_json
@options.data_dir
def diff(first: str, second: str, as_json: bool) -> None:
    """Compare two snapshots, or one with the present (`now`)."""
    path = f"/sandbox/snapshots/{running.segment(first)}/diff/{running.segment(second)}"
    content = running.client().call("GET", path, timeout=_TIMEOUT)
    output.answer(content, as_json, list(_differences(content)) or ["No differences."])


@snapshot.command(example="connect-sim snapshot delete before-upgrade")
@click.argument("name", shell_complete=_complete_name)
@options.as_json
@options.data_dir
def delete(name: str, as_json: bool) -> None:
    """Delete a snapshot."""
    running.client().call("DELETE", f"/sandbox/snapshots/{running.segment(name)}")
    output.answer({"deleted": name}, as_json, [f"Deleted {name}."])


def _differences(content: dict[str, Any]) -> Iterator[str]:
    for name, sign in (("added", "+"), ("removed", "-"), ("changed", "~")):
        for each in content[name]:
            yield f"{sign} {each['type']} {each['id']}"
            for field, values in each.get("fields", {}).items():
                yield f"    {field}: {json.dumps(values['a'])} → {json.dumps(values['b'])}"
    if content["truncated"]:
        yield "More objects differ: only the first are listed."


def _replace(path: str, patience: float | None, as_json: bool, done: str) -> None:
    """Replace the data, and print the answer."""
    body = {} if patience is None else {"patience": patience}
    content = running.client().call("POST", path, body, _TIMEOUT)
    now = output.moment(content["now"])
    replaced = f"{done} in {content['took_ms']} ms. Platform time: {now}."
    unsettled = (f"Not waited for: {text}" for text in content["unsettled"])
    output.answer(content, as_json, [replaced, *unsettled])
