"""`connect-sim init`: what it writes, what it refuses, and what is left of a failure."""

from __future__ import annotations

import errno
import shlex
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from connect_sim.cli import init
from portal.starters import FOLDER, LANGUAGES
from tests.program import Failed, run

ROOT = Path(__file__).resolve().parents[3]
# By language: what examples/ has in common with the projects.
COPIES = {
    "python": ["handler.py"],
    "node": ["handler.mjs", "package.json"],
    "php": ["handler.php"],
}
EACH = pytest.mark.parametrize("language", LANGUAGES)


def files(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder, by path; caches don't count."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@EACH
def test_project_has_handler_tests_workflow_and_readme(tmp_path: Path, language: str) -> None:
    folder = tmp_path / "my handlers" / "first"
    printed = run("init", language, str(folder))
    written = files(folder)
    assert written == files(FOLDER / language)
    assert {".github/workflows/test.yml", "README.md", LANGUAGES[language].file} < written.keys()
    assert any("test" in name for name in written.keys() - {".github/workflows/test.yml"})
    _, enter, *_, test, check = (line.strip() for line in printed.splitlines())
    assert shlex.split(enter)[:2] == ["cd", str(folder)]
    readme = written["README.md"].decode()
    assert check in readme and all(command in readme for command in test.split(" && "))


@EACH
def test_workflow_runs_the_tests_and_the_checks(language: str) -> None:
    workflow = (FOLDER / language / ".github" / "workflows" / "test.yml").read_text()
    chosen = LANGUAGES[language]
    for command in (*chosen.test.split(" && "), f'connect-sim check --run "{chosen.command}"'):
        assert f"- run: {command}" in workflow


@EACH
def test_example_has_the_handler_of_the_project(language: str) -> None:
    """On a failure, copy the file of portal/static/portal/handlers to examples."""
    for name in COPIES[language]:
        copy = ROOT / "examples" / f"{language}_handler" / name
        assert copy.read_bytes() == (FOLDER / language / name).read_bytes(), name


def test_project_names_nothing_of_this_machine() -> None:
    for name, content in files(FOLDER).items():
        for word in (str(ROOT), str(Path.home()), "localhost"):
            assert word.encode() not in content, f"{name}: {word}"


def test_folder_that_is_empty_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the current one, which stays the one where the user is."""
    monkeypatch.chdir(tmp_path)
    before = tmp_path.stat().st_ino
    run("init", "php", ".")
    assert files(Path()) == files(FOLDER / "php") and tmp_path.stat().st_ino == before


def test_program_that_is_not_on_the_path_is_put_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert f"export PATH=$PATH:{ROOT}\n" in run("init", "node", str(tmp_path / "one"))
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    assert "PATH" not in run("init", "node", str(tmp_path / "two"))


def test_what_a_project_needs_is_installed_before_its_tests(tmp_path: Path) -> None:
    printed = run("init", "python", str(tmp_path / "one")).splitlines()
    assert [line.strip() for line in printed[2:4]] == [
        f"make -C {ROOT} build && mkdir wheels && cp {ROOT}/dist/*.whl wheels",
        "python3 -m venv .venv && . .venv/bin/activate",
    ]
    assert len(run("init", "node", str(tmp_path / "two")).splitlines()) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("python full", "full is not empty"),
        ("python full/file", "is a file"),
        ("python full/file/below", "is below a file"),
        ("perl new", "'python', 'node', 'php'"),
        ("python", "Missing argument 'FOLDER'"),
    ],
)
def test_refusal_is_one_line_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    with pytest.raises(Failed, match=message) as failed:
        run("init", *arguments.split())
    assert failed.value.code == 2 and "\n" not in str(failed.value)
    assert files(tmp_path) == {"full/file": b"mine"} and len([*tmp_path.rglob("*")]) == 2


@pytest.mark.parametrize("is_there", [True, False])
def test_nothing_is_left_of_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    if is_there:
        (tmp_path / "new").mkdir()
    before = [*tmp_path.rglob("*")]
    real, opened = Path.open, []

    def fill_up(path: Path, mode: str = "r", *rest: Any, **named: Any) -> Any:
        if mode == "xb":
            opened.append(path)
            if len(opened) == 4:
                raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return real(path, mode, *rest, **named)

    monkeypatch.setattr(Path, "open", fill_up)
    target = tmp_path / "new" if is_there else tmp_path / "new" / "folder"
    with pytest.raises(Failed, match=r"cannot be written: No space left on device\.") as failed:
        run("init", "python", str(target))
    assert failed.value.code == 1 and len(opened) == 4
    assert [*tmp_path.rglob("*")] == before


def test_one_of_several_at_the_same_time_writes_the_folder(tmp_path: Path) -> None:
    start = Barrier(4)

    def write(language: str) -> str:
        start.wait()
        try:
            init._copy(FOLDER / language, tmp_path / "new")
        except FileExistsError:
            return ""
        return language

    with ThreadPoolExecutor(4) as pool:
        done = [*filter(None, pool.map(write, ["python", "node", "php", "python"]))]
    assert len(done) == 1
    assert files(tmp_path / "new") == files(FOLDER / done[0])
