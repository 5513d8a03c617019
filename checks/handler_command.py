"""How a handler is started: its command line, and the environment that it gets."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

HOST = "127.0.0.1"
# In the environment of a handler's processes, which inherit it: see checks.processes.
MARK = "CONNECT_SIM_HANDLER"
# Our own variables, with secrets among them.
_OURS = ("SIM_", "CONNECT_SIM_")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TEMPLATE = re.compile(r"\{(\w+)\}")
_INTERPRETER = re.compile(r"(python|pypy|node|php|ruby|perl|deno|bun|bash|sh)[\d.]*")
_SCRIPT = re.compile(r"[^\s{}-][^\s{}]*\.(py|[cm]?js|[cm]?ts|php|rb|pl|sh)")


class BadCommand(ValueError):
    """A command line or a template that cannot be used; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class Connection:
    """What a handler needs to serve a webhook and to call the API; the repr shows no secret.

    `api_key` is `ApiKey SU-…:…`, `api_url` ends with `/public/v1`.
    """

    api_url: str
    api_key: str = field(repr=False)
    jwt_secret: str = field(repr=False)
    webhook_id: str
    product_id: str

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown."""
        return self.api_key, self.jwt_secret


# The variables that every handler gets, beside PORT.
VARIABLES = {
    "CONNECT_API_KEY": "api_key",
    "CONNECT_API_URL": "api_url",
    "JWT_SECRET": "jwt_secret",
    "WEBHOOK_ID": "webhook_id",
    "PRODUCT_ID": "product_id",
    "PORT": "port",
}
TEMPLATES = (*VARIABLES.values(), "host")


@dataclass(frozen=True, slots=True)
class HandlerCommand:
    """A command that serves a handler at 127.0.0.1:PORT.

    `variables` are more variables of its environment: name and template. The handler is ready when
    `ready_url` responds with a status below 500, or, without one, when its port accepts
    connections; `ready_within` is in seconds. A program that serves nothing tells by `is_ready`.
    """

    arguments: tuple[str, ...]
    folder: Path | None = None
    variables: tuple[tuple[str, str], ...] = ()
    ready_url: str = ""
    ready_within: float = 30.0
    is_ready: Callable[[], bool] | None = None

    def arguments_for(self, port: int) -> list[str]:
        """Return the arguments for a port; only `{port}` and `{host}` are replaced.

        Other users of the machine may see a command line.
        """
        return [_fill_public(each, port) for each in self.arguments]

    def ready_url_for(self, port: int) -> str:
        """Return the URL for a port, empty if there is none; a path is one of the handler."""
        url = _fill_public(self.ready_url, port)
        return f"http://{HOST}:{port}{url}" if url.startswith("/") else url


def split(line: str) -> tuple[str, ...]:
    """Return the arguments of a command line, without a shell; raises BadCommand."""
    try:
        arguments = tuple(shlex.split(line))
    except ValueError as error:
        raise BadCommand(f"the command cannot be split ({error}).") from None
    if not arguments or not arguments[0]:
        raise BadCommand("the command is empty.")
    return arguments


def script(arguments: Sequence[str]) -> str:
    """Return the file that an interpreter is given to run, empty if that cannot be told.

    Other programs, such as `docker`, may run a script where we don't see it.
    """
    if not _INTERPRETER.fullmatch(Path(arguments[0]).name):
        return ""
    for argument in arguments[1:]:
        if argument in ("-m", "-c", "-e"):
            # A module or code: what follows belongs to it.
            return ""
        if _SCRIPT.fullmatch(argument):
            return argument
    return ""


def parse_variable(text: str) -> tuple[str, str]:
    """Return name and template of `NAME=TEMPLATE`; raises BadCommand."""
    name, equals, template = text.partition("=")
    if not equals or not _VARIABLE.fullmatch(name):
        # Without the text: it may be a secret that was pasted into the wrong place.
        raise BadCommand("must be NAME=VALUE.")
    unknown = [each for each in _TEMPLATE.findall(template) if each not in TEMPLATES]
    if unknown:
        known = ", ".join(f"{{{each}}}" for each in TEMPLATES)
        raise BadCommand(f"{name} has the unknown template {{{unknown[0]}}}. Known: {known}.")
    return name, template


def environment(
    inherited: Mapping[str, str],
    command: HandlerCommand,
    connection: Connection,
    port: int,
    mark: str,
) -> dict[str, str]:
    """Return the environment of a handler: the inherited one without what is ours, and its own."""
    values = {**asdict(connection), "port": str(port), "host": HOST}
    result = without_ours(inherited)
    # Otherwise a Python that is killed would take the end of its output with it.
    result.setdefault("PYTHONUNBUFFERED", "1")
    result |= {name: values[template] for name, template in VARIABLES.items()}
    result |= {
        name: _TEMPLATE.sub(lambda match: values[match[1]], template)
        for name, template in command.variables
    }
    return {**result, MARK: mark}


def without_ours(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that a program of the user's gets."""
    result = {name: text for name, text in inherited.items() if not name.startswith(_OURS)}
    return result | paths(inherited)


def paths(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return PATH and PYTHONPATH without the folders of this program.

    `uvx` puts its environment's folder first into PATH, and `./connect-sim` the checkout into
    PYTHONPATH: the handler's `python` and modules would be ours.
    """
    result = {}
    path = inherited.get("PATH", "").split(os.pathsep)
    is_ours = Path(path[0]) == Path(sys.prefix) / "bin"
    if "UV" in inherited and inherited.get("VIRTUAL_ENV") != sys.prefix:
        result["PATH"] = os.pathsep.join(path[1:] if is_ours else path)
    if "PYTHONPATH" in inherited:
        home = str(Path(__file__).resolve().parents[1])
        folders = inherited["PYTHONPATH"].split(os.pathsep)
        result["PYTHONPATH"] = os.pathsep.join(each for each in folders if each != home)
    return result


def _fill_public(text: str, port: int) -> str:
    return text.replace("{port}", str(port)).replace("{host}", HOST)
