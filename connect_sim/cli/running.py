"""Find the running sandbox without Django's settings."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from checks import sandbox_file
from checks.client import ApiError, Client
from checks.sandbox_file import NoSandbox, Sandbox
from connect_sim import installation
from connect_sim.cli import options
from connect_sim.cli.errors import CliError, Code, InvalidValue

_LINE = re.compile(r"^\s*(?:export\s+)?(\w+)\s*=(.*)$")


def client(party: str = "vendor") -> Client:
    """Return a client of the running sandbox; raises NoSandbox, or a refusal on a server."""
    sandbox = find()
    key = sandbox.provider_api_key if party == "distributor" else sandbox.vendor_api_key
    return Client(sandbox.address, key)


def find() -> Sandbox:
    """Return address and keys of the running sandbox; raises NoSandbox."""
    refuse_server()
    return sandbox_file.read(data_dir())


@contextmanager
def usage_errors() -> Iterator[None]:
    """Raise InvalidValue where the sandbox refuses what a command has been given (400)."""
    try:
        yield
    except ApiError as error:
        if error.status != 400 or not isinstance(error.content, dict):
            raise
        texts = error.content.get("errors") or [str(error)]
        # The path of a single condition, which the command makes of its arguments.
        texts = [re.sub(r"^until\.[a-z_]+(\.[a-z_]+)?: ", "", text) for text in texts]
        raise InvalidValue(" ".join(texts), error.content) from None


def find_if_running() -> Sandbox | None:
    """Return address and keys of the running sandbox, or None."""
    try:
        return find()
    except NoSandbox:
        return None


def refuse_server() -> None:
    """Raise CliError if the settings are those of a server."""
    if variable("SIM_PROFILE") == "server":
        name = click.get_current_context().command_path
        text = f"`{name}` needs a sandbox, but SIM_PROFILE is server."
        raise CliError(Code.SERVER_PROFILE, text)


def data_dir() -> Path:
    """Return the folder of sandbox.json, as the settings choose it.

    --data-dir, SIM_DATA_DIR, the same in the file .env, ./var, or the checkout's var.
    """
    if given := options.given_data_dir():
        return given.absolute()
    if configured := variable("SIM_DATA_DIR"):
        return Path(configured).absolute()
    here = Path("var").absolute()
    return here if (here / sandbox_file.NAME).exists() else installation.home() / "var"


def variable(name: str, default: str = "") -> str:
    """Return a variable of the environment or of the file .env, the default if neither has it."""
    value = os.environ.get(name)
    if value is None:
        value = _from_file(name)
    return default if value is None else value.strip()


def new_secret() -> str:
    """Return a new JWT secret, in the form of those that the portal makes."""
    return f"JWT-{uuid.uuid4()}"


def _from_file(name: str) -> str | None:
    configured = os.environ.get("SIM_ENV_FILE", "").strip()
    for path in [Path(configured)] if configured else [Path(".env"), installation.home() / ".env"]:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError):
            continue
        for line in text.splitlines():
            match = _LINE.match(line)
            if match and match[1] == name:
                return _unquote(match[2].strip())
        break
    return None


def _unquote(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value


def query(path: str, **values: Any) -> str:
    """Return a path with the query parameters that have a value, in alphabetical order."""
    from urllib.parse import quote, urlencode

    pairs = {name: value for name, value in sorted(values.items()) if value not in (None, "")}
    return f"{path}?{urlencode(pairs, doseq=True, quote_via=quote)}" if pairs else path


def segment(text: str) -> str:
    """Return a text as one segment of a path."""
    from urllib.parse import quote

    return quote(text, safe="")
