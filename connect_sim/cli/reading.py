"""`reading`: show and choose what is assumed about Connect."""

from __future__ import annotations

from typing import Any

import click

from connect_sim.cli import options, output, running
from sandbox.readings import registry


class Chosen(click.ParamType[tuple[str, str]]):
    """A reading and one of its alternatives, `jwt_header=authorization`."""

    name = "reading"

    def __init__(self, *, back: bool = False) -> None:
        self._back = back

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Return both; fail with a sentence."""
        try:
            return registry.parse_choice(str(value), back=self._back)
        except ValueError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        """Return what can be chosen."""
        words = (f"{r.id}={word}" for r in registry.READINGS for word in r.alternatives)
        return [
            click.shell_completion.CompletionItem(word)
            for word in words
            if word.startswith(incomplete)
        ]


@click.command(cls=options.Command, example="connect-sim reading jwt_header=authentication")
@click.argument("choices", nargs=-1, type=Chosen(back=True), metavar="[ID=ALTERNATIVE]...")
@options.as_json
@options.data_dir
def reading(choices: tuple[tuple[str, str], ...], as_json: bool) -> None:
    """Show what public sources about Connect leave open, and choose alternatives.

    They count at once, and until the next reset. `ID=` goes back to the alternative that the
    sandbox was started with.
    """
    client = running.client()
    if choices:
        body = {name: alternative or None for name, alternative in choices}
        rows = client.call("PUT", "/sandbox/readings", body)
    else:
        rows = client.call("GET", "/sandbox/readings")
    named = {name for name, _ in choices}
    cells = [_cells(row) for row in rows if not named or row["id"] in named]
    output.answer(rows, as_json, output.table(cells))


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    """Return a reading's alternative, the others, and what they answer."""
    others = [each["value"] for each in row["alternatives"] if each["value"] != row["value"]]
    return f"{row['id']}={row['value']}", f"or {', '.join(others)}", row["title"]
