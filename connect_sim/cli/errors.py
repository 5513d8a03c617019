"""Errors of the commands: their codes, and how they are printed, as a line or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any

import click

from checks.client import ApiError, NoAnswer, NotASandbox, Unreachable
from checks.sandbox_file import NoSandbox
from connect_sim.cli import output
from connect_sim.installation import StartError

NAME = "connect-sim"
# 1: an expectation that is not met, or a request that the sandbox refused.
REFUSED, USAGE, NO_CONNECTION = 1, 2, 3
# Options before a program of `exec` whose value is the next word.
WITH_VALUE = ("--data-dir", "--snapshot", "--product", "--keep")


@dataclass(frozen=True, slots=True)
class Details:
    """What is true of all errors of a code: exit code, meaning, what to do.

    What to do about wrong usage depends on the command, whose help `report` names.
    """

    exit_code: int
    meaning: str
    hint: str = ""
    is_retryable: bool = False


class Code(Enum):
    """The codes, whose names in lower case are stable; `docs/cli.md` lists them."""

    UNKNOWN_COMMAND = Details(USAGE, "there is no such command")
    UNKNOWN_OPTION = Details(USAGE, "the command has no such option")
    MISSING_ARGUMENT = Details(USAGE, "an argument or a required option is missing")
    INVALID_VALUE = Details(
        USAGE, "an argument or an option has a wrong value, or names what there is not"
    )
    WRONG_USAGE = Details(
        USAGE,
        "an option without its value, too many arguments, or some that exclude each other",
    )
    NO_SANDBOX = Details(
        NO_CONNECTION,
        "no sandbox has been started in the data folder",
        "Start one with `connect-sim`, or name its folder by `--data-dir`.",
    )
    UNREACHABLE = Details(
        NO_CONNECTION,
        "the sandbox accepts no connection, or has closed it",
        "See whether the sandbox is running; start it with `connect-sim`.",
        True,
    )
    NO_ANSWER = Details(
        NO_CONNECTION,
        "the sandbox has not answered in time; the request may have been done",
        "Look at what was done before you repeat it.",
    )
    NOT_A_SANDBOX = Details(
        NO_CONNECTION,
        "another program answers at the sandbox's address",
        "End that program, or restart the sandbox on another port.",
    )
    INVALID = Details(
        REFUSED, "the sandbox refuses the request: 400, 413, …", "Correct what the message names."
    )
    UNAUTHORIZED = Details(
        REFUSED, "the API key is not valid: 401", "Restart the sandbox: it renews its keys."
    )
    FORBIDDEN = Details(
        REFUSED, "the account may not do this: 403", "Use the other party: `--as distributor`."
    )
    NOT_FOUND = Details(
        REFUSED, "there is no such object: 404; or no such text", "List what there is, and choose."
    )
    CONFLICT = Details(
        REFUSED, "something else prevents it: 409", "Read the message, and try again afterwards."
    )
    BUSY = Details(
        REFUSED, "the sandbox cannot do it now: 408, 429, 503", "Try again in a few seconds.", True
    )
    SANDBOX_ERROR = Details(
        REFUSED, "an error inside the sandbox: 500, …", "Read the log of the sandbox."
    )
    SERVER_PROFILE = Details(
        REFUSED, "SIM_PROFILE is server, which has no sandbox", "Set SIM_PROFILE to sandbox."
    )
    CANNOT_START = Details(
        REFUSED,
        "settings, database or data folder cannot be used",
        "Correct the setting, database or folder that the message names.",
    )
    CANNOT_WRITE = Details(
        REFUSED, "a file or a folder cannot be written", "Choose another one, or free space."
    )
    CHANGED_FILE = Details(
        REFUSED,
        "a file that would be replaced was changed since its installation",
        "Look at the changes, and replace them with `--force`.",
    )
    CANNOT_USE = Details(
        # As env, nice and timeout end for errors of their own, and shells for those of a program.
        125,
        "`exec`: the sandbox cannot be used, or has ended before the program",
        "Read the sandbox's output in the file that the message names.",
    )
    NOT_EXECUTABLE = Details(
        126,
        "`exec`: the program cannot be executed",
        "Make it executable, or name its interpreter: `exec -- sh FILE`.",
    )
    NO_PROGRAM = Details(
        127, "`exec`: there is no such program", "Install it, or correct its name or PATH."
    )
    FAILED = Details(
        REFUSED,
        "anything else that the command cannot do",
        "Correct what the message names; `connect-sim doctor` shows what else is wrong.",
    )
    INTERNAL = Details(
        REFUSED,
        "an error inside the program",
        "Run it again without `--json`, and report the traceback.",
    )


class CliError(click.ClickException):
    """An error with a code; the message says what to do, unless the code's hint does."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.exit_code = code.value.exit_code  # type: ignore[misc]


class UnknownCommand(click.UsageError):
    """There is no command of this name."""


class InvalidValue(click.UsageError):
    """The sandbox refuses what the command has been given; `content` is the body of its error."""

    def __init__(self, message: str, content: Any) -> None:
        super().__init__(message)
        self.content = content


_BY_STATUS = {
    401: Code.UNAUTHORIZED,
    403: Code.FORBIDDEN,
    404: Code.NOT_FOUND,
    408: Code.BUSY,
    409: Code.CONFLICT,
    429: Code.BUSY,
    503: Code.BUSY,
}
# The first class that an error is of.
_BY_CLASS: tuple[tuple[type[BaseException], Code], ...] = (
    (UnknownCommand, Code.UNKNOWN_COMMAND),
    (click.NoSuchOption, Code.UNKNOWN_OPTION),
    (click.MissingParameter, Code.MISSING_ARGUMENT),
    (click.BadParameter, Code.INVALID_VALUE),
    (InvalidValue, Code.INVALID_VALUE),
    (click.UsageError, Code.WRONG_USAGE),
    (click.ClickException, Code.FAILED),
    (NoSandbox, Code.NO_SANDBOX),
    (NoAnswer, Code.NO_ANSWER),
    (NotASandbox, Code.NOT_A_SANDBOX),
    (Unreachable, Code.UNREACHABLE),
    (StartError, Code.CANNOT_START),
)


@contextmanager
def as_usage() -> Iterator[None]:
    """Give all errors the exit code of wrong usage, where 1 is that of a handler that fails."""
    try:
        yield
    except click.ClickException as error:
        error.exit_code = USAGE  # type: ignore[misc]
        raise


def wants_json(arguments: Sequence[str]) -> bool:
    """Return whether a command line asks for JSON.

    What follows `--`, or the name of the program of `exec`, is another program's.
    """
    command, words = "", iter(arguments)
    for word in words:
        if word == "--json" or word.startswith("--json="):
            return True
        if word in WITH_VALUE:
            next(words, None)
        elif word == "--" or (command == "exec" and not word.startswith("-")):
            return False
        elif not word.startswith("-"):
            command = command or word
    return False


def report(error: BaseException, *, as_json: bool) -> int:
    """Print an error to standard error, and return the exit code."""
    code = _code(error)
    details = code.value
    message = _message(error)
    hint = details.hint
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else NAME
        hint = f"See `{path} --help`."
    if as_json:
        content = {
            "code": code.name.lower(),
            "message": message,
            "hint": hint,
            "retryable": details.is_retryable,
            **_advice(error),
        }
        output.error_line(json.dumps(content))
    else:
        text = f"{message} {hint}" if isinstance(error, click.UsageError) else message
        output.error_line(f"Error: {output.one_line(text)}")
    return getattr(error, "exit_code", details.exit_code)


def _code(error: BaseException) -> Code:
    if isinstance(error, CliError):
        return error.code
    for kind, code in _BY_CLASS:
        if isinstance(error, kind):
            return code
    if isinstance(error, ApiError):
        default = Code.SANDBOX_ERROR if error.status >= 500 else Code.INVALID
        return _BY_STATUS.get(error.status, default)
    return Code.INTERNAL


def _message(error: BaseException) -> str:
    if isinstance(error, click.ClickException):
        # A text of ours, which may have several lines.
        return " ".join(error.format_message().split())
    if isinstance(error, StartError):
        return error.reason
    is_known = isinstance(error, ApiError | NoSandbox)
    return str(error) if is_known else f"{type(error).__name__}: {error}"


def _advice(error: BaseException) -> dict[str, Any]:
    """Return what the API says of its error; the sandbox's has a hint, Connect's has not."""
    types: dict[str, type] = {"error_code": str}
    # The API knows nothing of sandbox.json, which the key is from.
    if _code(error) not in (Code.UNAUTHORIZED, Code.FORBIDDEN):
        types |= {"hint": str, "retryable": bool}
    content = getattr(error, "content", None)
    found = content if isinstance(content, dict) else {}
    return {name: found[name] for name, kind in types.items() if type(found.get(name)) is kind}
