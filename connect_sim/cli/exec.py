"""`exec`: run a program with a sandbox of its own, and end with its exit code."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from checks import handler_command, handler_process
from checks.client import ApiError, Client
from checks.guard import Guard
from checks.handler_command import HOST, MARK, VARIABLES, Connection, HandlerCommand
from checks.handler_process import HandlerError
from checks.platform import Platform
from checks.processes import ProcessTree
from checks.throwaway import CannotStart, Throwaway
from connect_sim import installation
from connect_sim.cli import interrupts, options, output, product, running, world
from connect_sim.cli.check_options import PROVIDER_KEY, URL, VENDOR_KEY
from connect_sim.cli.errors import CliError, Code

_WORKBOOK = b"PK"  # how a ZIP archive begins
_SNAPSHOT = "start"  # the name of the snapshot of a file


class Failed(CliError):
    """The sandbox cannot be used, or has ended before the program.

    `content` is the body of the API's error, if it has refused something.
    """

    def __init__(self, message: str, content: Any = None) -> None:
        super().__init__(Code.CANNOT_USE, message)
        self.content = content


@dataclass(frozen=True, slots=True)
class Request:
    """What is run, beside which data; `product` is a file and the JSON that it has, if it has."""

    command: tuple[str, ...]
    snapshot: Path | None
    product: tuple[Path, Any] | None
    is_seeded: bool
    keep: Path | None


@click.command(
    "exec",
    cls=options.Command,
    example="connect-sim exec -- node --test",
    # Options behind the program's name are its own.
    context_settings={"allow_interspersed_args": False},
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="COMMAND...")
@click.option(
    "--snapshot",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Start with the data of this file of `snapshot export`, instead of the demo data.",
)
@click.option(
    "--product",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="The product: a workbook, as `product import` takes it, or JSON, as /sandbox/products "
    "takes it. Default: one that is made for the run.",
)
@click.option("--no-seed", is_flag=True, help="Start without demo data, and so without keys.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Keep the sandbox's data and output in this folder, new or empty, if COMMAND fails.",
)
@options.errors_as_json
def exec_(
    command: tuple[str, ...],
    snapshot: Path | None,
    product: Path | None,
    no_seed: bool,
    keep: Path | None,
) -> int:
    """Run COMMAND with a sandbox of its own, and end with its exit code.

    In its environment are CONNECT_SIM_URL, CONNECT_API_URL, CONNECT_API_KEY, and PRODUCT_ID,
    WEBHOOK_ID, JWT_SECRET and PORT of a product whose webhook calls http://127.0.0.1:PORT/.

    Exit codes: that of COMMAND, 128 and the number of the signal that ended it, 125 (the sandbox
    cannot be used), 126 (COMMAND cannot be executed), 127 (there is no COMMAND), 2 (wrong usage).
    """
    installation.refuse_windows()
    given = _read(product) if product else None
    request = Request(command, snapshot, given, not no_seed, keep)
    if no_seed and (snapshot or product):
        name = "--snapshot" if snapshot else "--product"
        raise click.UsageError(f"--no-seed and {name} exclude each other.")
    if keep:
        _check_keep(keep)
    path = {**os.environ, **handler_command.paths(os.environ)}.get("PATH", os.defpath)
    with interrupts.ending() as interruption:
        try:
            return _run(request, path)
        except KeyboardInterrupt:
            return interruption.exit_code


def _read(file: Path) -> tuple[Path, Any]:
    """Return the file with the JSON that it has, None for a workbook; raises BadParameter."""
    try:
        content = file.read_bytes()
        return file, None if content.startswith(_WORKBOOK) else json.loads(content)
    except OSError as error:
        raise click.BadParameter(f"{file} cannot be read: {error.strerror}.") from None
    except ValueError:
        text = f"{file} is neither a workbook nor JSON."
        raise click.BadParameter(text, param_hint="--product") from None


def _check_keep(folder: Path) -> None:
    """Raise BadParameter unless the folder is empty, or can be created."""
    try:
        if folder.exists() and any(folder.iterdir()):
            raise click.BadParameter(f"{folder} is not empty.", param_hint="--keep")
        ways = (folder, *folder.absolute().parents)
        nearest = next(each for each in ways if os.path.lexists(each))
        # Fails if it is a file, a link to nothing, or may not be written.
        tempfile.TemporaryFile(dir=nearest).close()
    except OSError as error:
        text = f"{folder} cannot be used: {error.strerror}."
        raise click.BadParameter(text, param_hint="--keep") from None


def _run(request: Request, path: str) -> int:
    """Return the exit code of the program, which is looked for in a PATH; raises ClickException."""
    from connect_sim.cli import foreground

    name = request.command[0]
    mark = secrets.token_hex(8)
    tree = ProcessTree(0, f"{MARK}={mark}")
    with ExitStack() as stack:
        try:
            file = foreground.find(name, path)
            program = stack.enter_context(foreground.Foreground())
            guard = stack.enter_context(Guard())
            flags = [] if request.is_seeded else ["--no-seed"]
            throwaway = stack.enter_context(Throwaway(guard, flags))
        except OSError as error:
            raise Failed(f"The sandbox cannot be started: {error}.") from None
        try:
            env = _environment(request, throwaway, mark)
        except (ApiError, CannotStart, HandlerError) as error:
            text = f"{error} {_save(throwaway, request.keep)}"
            raise Failed(text, getattr(error, "content", None)) from None
        except OSError as error:
            text = f"The sandbox cannot be started: {error}. {_save(throwaway, request.keep)}"
            raise Failed(text) from None
        guard.add_mark(f"{MARK}={mark}")
        try:
            code = program.run(file, request.command, env, guard)
        finally:
            # What it has started, and not ended.
            tree.kill()
            guard.remove_mark(f"{MARK}={mark}")
        if throwaway.has_ended:
            raise Failed(f"The sandbox ended before {name}. {_save(throwaway, request.keep)}")
        if code:
            text = f"{name} ended with exit code {code}. {_save(throwaway, request.keep)}"
            output.error_line(output.one_line(text))
        return code


def _environment(request: Request, throwaway: Throwaway, mark: str) -> dict[str, str]:
    """Start the sandbox, and return the program's environment.

    Raises CannotStart, ApiError, HandlerError.
    """
    sandbox = throwaway.start()
    port, command = handler_process.free_port(), HandlerCommand(request.command)
    ours = {URL: sandbox.address, "SIM_DATA_DIR": str(throwaway.data)}
    api_url = f"{sandbox.address}/public/v1"
    if not request.is_seeded:
        nothing = Connection(api_url, "", "", "", "")
        env = handler_command.environment(os.environ, command, nothing, port, mark)
        return {name: text for name, text in env.items() if text or name not in VARIABLES} | ours
    keys = ours | {VENDOR_KEY: sandbox.vendor_api_key, PROVIDER_KEY: sandbox.provider_api_key}
    clients = (Client(sandbox.address, keys[name]) for name in (VENDOR_KEY, PROVIDER_KEY))
    platform = Platform(sandbox.address, *clients)
    if request.snapshot:
        world.import_file(platform.vendor, request.snapshot, _SNAPSHOT)
        platform.restore(_SNAPSHOT)
    product, secret = _product(platform.vendor, request.product), running.new_secret()
    url, label = f"http://{HOST}:{port}/", "connect-sim exec"
    webhook = platform.create_webhook(product, url, secret, label=label, active=True)
    key = f"ApiKey {sandbox.vendor_api_key}"
    connection = Connection(api_url, key, secret, webhook["id"], product)
    return handler_command.environment(os.environ, command, connection, port, mark) | keys


def _product(client: Client, given: tuple[Path, Any] | None) -> str:
    """Create the product, and return its id; raises ApiError."""
    file, content = given or (None, {})
    if file and content is None:
        return str(product.upload(client, file)["product"]["id"])
    return str(client.call("POST", "/sandbox/products", content)["id"])


def _save(throwaway: Throwaway, folder: Path | None) -> str:
    """End the sandbox, keep what it has left, and return a sentence that says where."""
    throwaway.kill()
    try:
        if folder:
            # Before there is anything in it that others may not read.
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
            shutil.copytree(throwaway.data, folder, dirs_exist_ok=True)
            throwaway.save_log(folder / "sandbox.log")
            return f"The sandbox's data and its output, sandbox.log, are in {folder}."
        # In the guarded folder: a run that is killed leaves no half of it.
        draft = throwaway.data.with_name("printed.log")
        throwaway.save_log(draft)
        name = Path(tempfile.gettempdir(), f"connect-sim-{secrets.token_hex(8)}.log")
        draft.rename(name)
    except OSError as error:
        return f"What the sandbox left cannot be kept: {error}."
    return f"The sandbox's output is in {name}."
