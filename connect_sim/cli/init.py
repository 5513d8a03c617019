"""`init`: write a handler to start from, with tests and a CI file."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from shlex import quote

import click

from connect_sim import IS_CHECKOUT, installation
from connect_sim.cli import options, output
from connect_sim.cli.errors import CliError, Code
from portal import starters


@click.command(cls=options.Command, example="connect-sim init python my-handler")
@click.argument("language", type=options.Choice(list(starters.LANGUAGES)))
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@options.as_json
def init(language: str, folder: Path, as_json: bool) -> None:
    """Write a webhook handler into FOLDER, with tests and a CI file.

    FOLDER is created; one that exists must be empty. The handler passes `connect-sim check`.
    """
    try:
        if folder.exists() and any(folder.iterdir()):
            raise FileExistsError
        _copy(starters.FOLDER / language, folder)
    except FileExistsError:
        # It had files, or gets some from another program at the same time.
        raise click.BadParameter(f"{folder} is not empty.", param_hint="FOLDER") from None
    except NotADirectoryError:
        raise click.BadParameter(f"{folder} is below a file.", param_hint="FOLDER") from None
    except OSError as error:
        text = f"{error.filename or folder} cannot be written: {error.strerror}."
        raise CliError(Code.CANNOT_WRITE, text) from None
    commands = list(_next_commands(starters.LANGUAGES[language], folder))
    created = f"Created {folder}. README.md says more. Next:"
    lines = [created, *(f"  {command}" for command in commands)]
    output.answer({"folder": str(folder), "next": commands}, as_json, lines)


def _copy(source: Path, folder: Path) -> None:
    """Copy a project into a folder, all of it or nothing; raises OSError."""
    # Modules of an installed package are compiled, also those that are only data.
    files = [path for path in source.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    created: list[Path] = []
    try:
        for file in sorted(files):
            target = folder / file.relative_to(source)
            for parent in reversed(target.parents):
                if not parent.exists():
                    parent.mkdir(exist_ok=True)
                    created.append(parent)
            with target.open("xb") as opened:
                created.append(target)
                opened.write(file.read_bytes())
    except BaseException:
        for path in reversed(created):
            # A folder may have got files of others meanwhile.
            with suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
        raise


def _next_commands(language: starters.Language, folder: Path) -> Iterator[str]:
    """Yield what to type next: go to the folder, install, run the tests, judge the handler."""
    home = quote(str(installation.home()))
    enter = f"cd {quote(str(folder))}"
    if not shutil.which("connect-sim"):
        # The last, so that its `python3` and other programs aren't used.
        programs = home if IS_CHECKOUT else quote(str(Path(sys.executable).parent))
        enter += f" && export PATH=$PATH:{programs}"
    yield enter
    requirements = folder / "requirements.txt"
    if requirements.exists():
        if IS_CHECKOUT and "wheels/" in requirements.read_text():
            yield f"make -C {home} build && mkdir wheels && cp {home}/dist/*.whl wheels"
        yield "python3 -m venv .venv && . .venv/bin/activate"
    yield language.test
    yield f'connect-sim check --run "{language.command}"'
