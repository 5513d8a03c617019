"""Classes and options that the commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from connect_sim.cli.errors import UnknownCommand
from requests_queue import time_format
from requests_queue.suggestions import did_you_mean

_DATA_DIR = "connect_sim.data_dir"
F = TypeVar("F", bound=Callable[..., Any])


class NamedInErrors(click.Command):
    """A command that its errors of usage name."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise


class Command(NamedInErrors):
    """A command whose help ends with an example."""

    def __init__(self, *args: Any, example: str = "", **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.example = example

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example."""
        _write_example(self.example, formatter)


class Group(click.Group):
    """A group whose help ends with an example; `default` is the command of a call without one."""

    command_class = Command

    def __init__(self, *args: Any, example: str = "", default: str = "", **attributes: Any) -> None:
        if default:
            attributes["invoke_without_command"] = True
            attributes["context_settings"] = {"ignore_unknown_options": True}
        super().__init__(*args, **attributes)
        self.example, self.default = example, default

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example."""
        _write_example(self.example, formatter)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command; options without a command are those of the default."""
        if self.default and args[0].startswith("-") and not ctx.resilient_parsing:
            args = [self.default, *args]
        known = self.list_commands(ctx)
        if args[0] not in known and args[0][:1] != "-" and not ctx.resilient_parsing:
            text = f"No such command {args[0]!r}.{did_you_mean(args[0], known)}"
            raise UnknownCommand(text, ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, or the default."""
        result = super().invoke(ctx)
        if not self.default or ctx.invoked_subcommand is not None:
            return result
        command = self.get_command(ctx, self.default)
        assert command is not None
        with command.make_context(self.default, [], parent=ctx) as inner:
            return command.invoke(inner)


Group.group_class = Group


def _write_example(example: str, formatter: click.HelpFormatter) -> None:
    if example:
        with formatter.section("Example"):
            formatter.write_text(example)


def _remember_data_dir(ctx: click.Context, param: click.Parameter, value: Path | None) -> None:
    if value is not None:
        # The same dictionary in all contexts of a call.
        ctx.meta[_DATA_DIR] = value


def given_data_dir() -> Path | None:
    """Return the value of --data-dir."""
    path: Path | None = click.get_current_context().meta.get(_DATA_DIR)
    return path


class Choice(click.Choice[str]):
    """One of some words; an error names the nearest one."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """Return the sentence about an unknown word."""
        return super().get_invalid_choice_message(value, ctx) + did_you_mean(value, self.choices)


class Duration(click.ParamType[str]):
    """A duration like 5m, checked here and sent as it is."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text; fail with a sentence."""
        try:
            time_format.parse_span(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return str(value)


class Seconds(click.ParamType[float]):
    """Seconds of real time, as a number or as a duration like 5m, within limits."""

    name = "seconds"

    def __init__(self, most: float, *, least: float = 0.0) -> None:
        self._least, self._most = least, most

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds; fail with a sentence."""
        try:
            seconds = time_format.parse_span(str(value)).total_seconds()
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not self._least <= seconds <= self._most:
            self.fail(f"must be from {self._least:g} to {self._most:g} seconds.", param, ctx)
        return seconds


data_dir = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    expose_value=False,
    callback=_remember_data_dir,
    metavar="FOLDER",
    help="The folder with sandbox.json. Default: SIM_DATA_DIR, also from .env, or ./var.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
# Of a command whose answer is no JSON; `errors.wants_json` reads it.
errors_as_json = click.option("--json", is_flag=True, hidden=True, expose_value=False)


def party(text: str) -> Callable[[F], F]:
    """Return the option of the party as which a command calls the API."""
    return click.option(
        "--as",
        "party",
        type=Choice(["vendor", "distributor"]),
        default="vendor",
        show_default=True,
        help=text,
    )
