"""`skill`: instructions for an agent that writes a handler, copied into its project."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import click

from connect_sim.cli import options, output
from connect_sim.cli.errors import CliError, Code
from sandbox import documentation

NAME = "connect-webhook-handler"
# Beside the copied files: the digest of each as it was installed.
MANIFEST = ".connect-sim.json"


@click.group(cls=options.Group, example="connect-sim skill install")
def skill() -> None:
    """Install instructions for an agent that writes a handler."""


@skill.command(example="connect-sim skill install .claude/skills")
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace files that were changed, too.")
@options.as_json
def install(folder: Path | None, force: bool, as_json: bool) -> None:
    """Copy the skill connect-webhook-handler into FOLDER, or update it there.

    Default: .claude/skills if there is a folder .claude, otherwise .agents/skills.
    """
    if folder is None:
        folder = Path(".claude" if Path(".claude").is_dir() else ".agents") / "skills"
    target = folder / NAME
    try:
        written = _install(target, force)
    except OSError as error:
        text = f"{error.filename or target} cannot be read or written: {error.strerror}."
        raise CliError(Code.CANNOT_WRITE, text) from None
    installed = f"Installed {target}: {', '.join(written)}."
    text = installed if written else f"{target} is up to date."
    output.answer({"folder": str(target), "written": written}, as_json, [text])


def _install(target: Path, force: bool) -> list[str]:
    """Write what differs, and return its names; raises CliError before anything is written."""
    source = documentation.ROOT / "skills" / NAME
    contents = {name: (source / name).read_bytes() for name in sorted(_names(source))}
    installed = _read_manifest(target / MANIFEST)
    # Other files are the user's own; so is what a damaged manifest names beside the folder.
    ours = {*contents, *(_names(target) & installed.keys())}
    present = _read(target, ours)
    changed = [
        name
        for name, content in present.items()
        if content != contents.get(name) and _digest(content) != installed.get(name)
    ]
    if changed and not force:
        names = ", ".join(str(target / name) for name in changed)
        raise CliError(Code.CHANGED_FILE, f"{names}: changed since the installation. Use --force.")
    written = [name for name, content in contents.items() if present.get(name) != content]
    for name in written:
        _write(target / name, contents[name])
    # Of an older version; other files are the user's own.
    for name in present.keys() & installed.keys() - contents.keys():
        (target / name).unlink()
    digests = {name: _digest(content) for name, content in contents.items()}
    _write(target / MANIFEST, json.dumps(digests, indent=2).encode() + b"\n")
    return written


def _names(folder: Path) -> set[str]:
    """Return the names of the texts in a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.md")}


def _read(folder: Path, names: set[str]) -> dict[str, bytes]:
    """Return the files that there are; raises OSError for others and for links to nothing."""
    found = {}
    for name in sorted(names):
        path = folder / name
        try:
            found[name] = path.read_bytes()
        except FileNotFoundError:
            if any(each.is_symlink() and not each.exists() for each in (path, *path.parents)):
                raise
    return found


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: half of one would count as changed by the user."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _read_manifest(path: Path) -> dict[str, str]:
    """Return the digests by name; none if nothing was installed, or the file is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
