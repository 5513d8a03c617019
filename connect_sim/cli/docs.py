"""`docs`: the users' pages of the documentation, without a network."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from connect_sim.cli import options, output
from connect_sim.cli.errors import CliError, Code
from sandbox import documentation

_MOST = 20  # matches that are printed


def _complete_page(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return [name for name in documentation.pages() if name.startswith(incomplete)]


@click.command(cls=options.Command, example="connect-sim docs robust-handlers")
@click.argument("page", required=False, shell_complete=_complete_page)
@click.option("--search", "words", metavar="WORDS", help="Find sections that have all words.")
@options.as_json
def docs(page: str | None, words: str | None, as_json: bool) -> None:
    """Print PAGE of the documentation, or the list of pages; no sandbox has to run.

    Markdown as it is where the output is no terminal.
    """
    if page and words is not None:
        raise click.UsageError("PAGE and --search exclude each other.")
    if words is not None:
        _search(words, as_json)
    elif page:
        _print(page, as_json)
    else:
        rows = [(each.name, each.title) for each in documentation.pages().values()]
        content = [{"page": name, "title": title} for name, title in rows]
        output.answer(content, as_json, output.table(rows))


def _print(name: str, as_json: bool) -> None:
    try:
        page = documentation.find(name)
    except documentation.UnknownPage as error:
        raise click.BadParameter(str(error), param_hint="PAGE") from None
    if as_json:
        output.print_json({"page": page.name, "title": page.title, "text": page.text})
    elif sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(page.text))
    else:
        click.echo(page.text, nl=False)


def _search(words: str, as_json: bool) -> None:
    found = documentation.search(words)
    if not found:
        raise CliError(Code.NOT_FOUND, f"No section of the documentation has {words[:80]!r}.")
    fields = ("page", "heading", "line", "text")
    content = [{name: getattr(each, name) for name in fields} for each in found]
    output.answer(content, as_json, _matches(found))


def _matches(found: list[documentation.Match]) -> Iterator[str]:
    for each in found[:_MOST]:
        yield f"{each.page}:{each.line}  {each.heading}"
        if each.text.lstrip("# ") != each.heading:
            yield f"  {each.text}"
    if len(found) > _MOST:
        yield f"{len(found) - _MOST} more: add a word."
