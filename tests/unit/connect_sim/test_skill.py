"""`connect-sim skill install`, and what the skill consists of."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import click
import pytest
import yaml

from checks.catalog import CHECKS
from checks.handler_command import VARIABLES
from connect_sim.cli import program, skill
from connect_sim.cli.skill import MANIFEST, NAME
from tests.program import Failed, run, run_json

SOURCE = Path(__file__).resolve().parents[3] / "skills" / NAME
TEXTS = {path.relative_to(SOURCE).as_posix(): path.read_text() for path in SOURCE.rglob("*.md")}


def files(folder: Path) -> dict[str, str]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in paths}


# The files


def test_front_matter_has_the_form_of_agents_skills() -> None:
    head, rest = re.fullmatch(r"---\n(.*?)\n---\n(.*)", TEXTS["SKILL.md"], re.DOTALL).groups()  # type: ignore[union-attr]
    fields = yaml.safe_load(head)
    assert fields["name"] == NAME == SOURCE.name and re.fullmatch(r"[a-z0-9-]{1,64}", NAME)
    assert 0 < len(fields["description"]) <= 1024 and len(fields["compatibility"]) <= 500
    assert fields.keys() <= {"name", "description", "license", "compatibility"}
    assert len(TEXTS["SKILL.md"].splitlines()) <= 200
    links = set(re.findall(r"\]\(([\w./-]+)\)", rest))
    assert links == TEXTS.keys() - {"SKILL.md"}


def test_named_checks_exist() -> None:
    ids = {check.id for check in CHECKS}
    groups = {check.group for check in CHECKS}
    named = {
        name
        for text in TEXTS.values()
        for name in re.findall(r"\b([a-z]+\.[a-z0-9_]+)\b", text)
        if name.partition(".")[0] in groups
    }
    # Other names with a dot.
    named -= {"token.exp"}
    assert {name for name in named if not any(i.startswith(name) for i in ids)} == set()


def test_variables_are_those_that_a_handler_is_given() -> None:
    rows = re.findall(r"^\| (`[A-Z_]+`(?:, `[A-Z_]+`)*) \|", TEXTS["SKILL.md"], re.MULTILINE)
    assert {*re.findall(r"[A-Z_]+", " ".join(rows))} == VARIABLES.keys()


def test_commands_are_valid() -> None:
    texts = "\n".join(TEXTS.values())
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", texts, re.DOTALL))
    lines = [line for line in blocks.splitlines() if line.startswith("connect-sim ")]
    assert len(lines) > 12
    for line in lines:
        words = shlex.split(line, comments=True)[1:]
        command: click.Command = program.program
        context = click.Context(command, info_name="connect-sim")
        while isinstance(command, click.Group):
            # A group without a command has a default.
            has_command = bool(words) and not words[0].startswith("-")
            name = words.pop(0) if has_command else command.default  # type: ignore[attr-defined]
            if not name:
                # `check` has commands, and is one.
                break
            found = command.get_command(context, name)
            assert found is not None, line
            command = found
        assert command.make_context(command.name, words).args == [], line


# The installation


@pytest.mark.parametrize(
    ("arguments", "has_claude", "folder"),
    [
        ([], False, ".agents/skills"),
        ([], True, ".claude/skills"),
        (["somewhere/else"], True, "somewhere/else"),
    ],
)
def test_skill_is_copied(
    empty_folder: Path, arguments: list[str], has_claude: bool, folder: str
) -> None:
    if has_claude:
        (empty_folder / ".claude").mkdir()
    answer = run_json("skill", "install", *arguments)
    assert answer == {"folder": f"{folder}/{NAME}", "written": sorted(TEXTS)}
    installed = files(empty_folder / folder / NAME)
    assert installed.pop(MANIFEST) and installed == TEXTS
    assert run("skill", "install", *arguments) == f"{folder}/{NAME} is up to date.\n"


def test_changed_file_is_replaced_with_force_only(empty_folder: Path) -> None:
    run("skill", "install", "s")
    changed, own = empty_folder / "s" / NAME / "SKILL.md", empty_folder / "s" / NAME / "own.md"
    changed.write_text("mine")
    own.write_text("own")
    with pytest.raises(Failed, match=rf"s/{NAME}/SKILL\.md: changed .* --force") as failed:
        run("skill", "install", "s")
    assert failed.value.code == 1 and changed.read_text() == "mine"
    with pytest.raises(Failed) as failed:
        run("skill", "install", "s", "--json")
    assert json.loads(str(failed.value))["code"] == "changed_file"
    assert run("skill", "install", "s", "--force") == f"Installed s/{NAME}: SKILL.md.\n"
    assert changed.read_text() == TEXTS["SKILL.md"] and own.read_text() == "own"


def test_file_of_others_is_not_replaced_without_a_manifest(empty_folder: Path) -> None:
    file = empty_folder / "s" / NAME / "SKILL.md"
    file.parent.mkdir(parents=True)
    file.write_text("of others")
    (file.parent / MANIFEST).write_text("damaged")
    with pytest.raises(Failed, match="changed"):
        run("skill", "install", "s")
    assert files(file.parent) == {"SKILL.md": "of others", MANIFEST: "damaged"}


def test_update_replaces_what_nobody_has_changed(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    older = tmp_path_factory.mktemp("older")
    (older / "skills" / NAME / "references").mkdir(parents=True)
    (older / "skills" / NAME / "SKILL.md").write_text("older")
    (older / "skills" / NAME / "references" / "gone.md").write_text("older")
    with monkeypatch.context() as patch:
        patch.setattr(skill.documentation, "ROOT", older)
        run("skill", "install", "s")
    run("skill", "install", "s")
    assert files(empty_folder / "s" / NAME).keys() == TEXTS.keys() | {MANIFEST}


def test_manifest_names_no_file_outside(empty_folder: Path) -> None:
    run("skill", "install", "s")
    outside = empty_folder / "outside.md"
    outside.write_text("x")
    digests = {"../../outside.md": skill._digest(b"x")}
    (empty_folder / "s" / NAME / MANIFEST).write_text(json.dumps(digests))
    run("skill", "install", "s", "--force")
    assert outside.read_text() == "x"


@pytest.mark.parametrize(
    ("folder", "damage"),
    [
        ("file/below", lambda folder: None),
        ("s", lambda folder: (folder / "SKILL.md").mkdir()),
        ("s", lambda folder: (folder / "SKILL.md").symlink_to("nothing")),
        ("s", lambda folder: (folder / "SKILL.md").symlink_to("SKILL.md")),
        ("s", lambda folder: (folder / "references").write_text("a file")),
        ("s", lambda folder: (folder / "references").symlink_to("nothing")),
        ("s", lambda folder: (folder / MANIFEST).mkdir()),
    ],
)
def test_what_cannot_be_replaced_is_one_line(
    empty_folder: Path, folder: str, damage: Callable[[Path], None]
) -> None:
    """And nothing is written."""
    (empty_folder / "file").write_text("")
    (empty_folder / "s" / NAME).mkdir(parents=True)
    damage(empty_folder / "s" / NAME)
    before = sorted(empty_folder.rglob("*"))
    with pytest.raises(Failed, match=r"cannot be read or written: ") as failed:
        run("skill", "install", folder, "--force")
    assert failed.value.code == 1 and "\n" not in str(failed.value)
    assert sorted(empty_folder.rglob("*")) == before


def test_own_files_of_the_user_are_not_read(empty_folder: Path) -> None:
    folder = empty_folder / "s" / NAME
    (folder / "notes.md").mkdir(parents=True)
    (folder / "own.md").symlink_to("nothing")
    run("skill", "install", "s")
    assert (folder / "own.md").is_symlink() and (folder / "SKILL.md").is_file()
