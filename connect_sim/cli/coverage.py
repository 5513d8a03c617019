"""`coverage`: which cases tests made happen, and stubs for those that are missing."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import click

from connect_sim.cli import options, output, running
from sandbox.coverage import stubs, summary
from sandbox.coverage.cases import Case

Json = dict[str, Any]
SHOWN = 15  # missing cases that are named


@click.command(cls=options.Command, example="connect-sim coverage --stubs pytest")
@click.option("--product", metavar="PRD-…", help="Default: all that webhooks had events of.")
@click.option("--since", metavar="CURSOR", help="Only what has happened since; default: all.")
@click.option("--case", "pattern", metavar="GLOB", help="Only cases with such an id.")
@click.option(
    "--stubs",
    "language",
    type=options.Choice(list(stubs.LANGUAGES)),
    help="Print tests of the missing cases.",
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="The first N missing cases.")
@click.option(
    "--merge",
    "files",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="Join reports, written by --json, instead of asking a sandbox; may be repeated.",
)
@options.as_json
@options.data_dir
def coverage(
    product: str | None,
    since: str | None,
    pattern: str | None,
    language: str | None,
    limit: int | None,
    files: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Show which cases your tests made happen, and which are missing, the most important first.

    Resets and restores keep what has happened before.
    """
    if files and (product or since):
        raise click.UsageError("--merge is about reports: --product and --since are for a sandbox.")
    if files:
        report = summary.merge([_load(file) for file in files])
    else:
        path = running.query("/sandbox/coverage", product=product, since=since, stubs=language)
        with running.usage_errors():
            report = running.client().call("GET", path)
    if pattern:
        rows = [row for row in report["cases"] if fnmatchcase(row["id"], pattern)]
        if report["cases"] and not rows:
            text = f"No case matches {pattern!r}; --json lists the ids of all."
            raise click.BadParameter(text, param_hint="--case")
        report = summary.report(report["products"], rows)
    missing = [row for row in report["cases"] if not row["seen"]]
    if files and language:
        for row in missing:
            row["stub"] = stubs.write(Case(row["id"]), language)
    if as_json:
        output.print_json(report)
    elif language:
        _print_stubs(missing[:limit], language)
    else:
        _print(report, missing, SHOWN if limit is None else limit)


def _load(file: Path) -> Json:
    try:
        report: Json = json.loads(file.read_text(encoding="utf-8"))
        # Whether it has what is read of it, and only cases of this version.
        summary.merge([report])
        for row in report["cases"]:
            _ = Case(row["id"]).text, row["text"], row["how"]
    except OSError as error:
        text = f"{file}: It cannot be read: {error.strerror or error}."
        raise click.BadParameter(text, param_hint="--merge") from None
    except (ValueError, LookupError, TypeError, AttributeError):
        text = f"{file}: It is not a report of `coverage --json`."
        raise click.BadParameter(text, param_hint="--merge") from None
    return report


def _print_stubs(missing: list[Json], language: str) -> None:
    """Print the tests as one file, with a comment for each case without one."""
    mark = "//" if language == "node" else "#"
    click.echo(stubs.join([row["stub"] for row in missing if row["stub"]], language), nl=False)
    for row in missing:
        if not row["stub"]:
            output.line(f"{mark} {row['id']}: {row['how']}")


def _print(report: Json, missing: list[Json], limit: int) -> None:
    total = {**report, "title": "All"}
    rows = [
        (row["title"], f"{row['covered']} of {row['possible']}", f"{row['percent']:g} %")
        for row in [*report["groups"], total]
    ]
    output.lines(output.table([("GROUP", "CASES", "COVERED"), *rows]))
    if not report["possible"]:
        output.line(
            "There are no cases without a webhook. Create one: connect-sim webhook create URL PRD-…"
        )
    for number, row in enumerate(missing[:limit]):
        if not number:
            output.line("Missing, the most important first:")
        output.line(f"{row['id']}  {row['text']}", indent=2)
    if more := len(missing[limit:]):
        output.line(f"… {more} more", indent=2)
