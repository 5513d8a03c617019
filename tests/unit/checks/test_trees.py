"""Trees of a repository and of folders, and commands in them."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from checks.guard import Guard
from checks.trees import REPOSITORY_VARIABLES, CommandError, NoTree, Tree, TreeError, Workshop
from tests.git_repository import Repository


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A repository with two commits, which is the current folder."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    found = Repository(tmp_path / "project")
    found.commit(a_py="1", gone_py="1", _gitignore="*.log\n")
    found.commit(a_py="2")
    monkeypatch.chdir(found.folder)
    return found


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    """The workshop, which has left nothing at the end."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with Guard() as guard, Workshop(guard) as entered:
        yield entered
    assert not any((tmp_path / "temporary").iterdir())


def contents(tree: Tree) -> dict[str, str]:
    paths = [path for path in tree.folder.rglob("*") if path.is_symlink() or path.is_file()]
    return {str(path.relative_to(tree.folder)): content(path) for path in paths}


def content(path: Path) -> str:
    return f"→ {path.readlink()}" if path.is_symlink() else path.read_text()


def test_trees_of_commits_are_in_folders_of_their_own(
    repository: Repository, workshop: Workshop
) -> None:
    (repository.folder / "ignored.log").touch()
    state = repository.state()
    before, now = workshop.trees("HEAD~1")
    assert contents(before) == {"a.py": "1", "gone.py": "1", ".gitignore": "*.log\n"}
    assert contents(now) == {**contents(before), "a.py": "2"}
    for tree, name in ((before, "HEAD~1"), (now, "HEAD")):
        assert (tree.name, tree.has_changes, tree.notes) == (name, False, ())
        assert tree.commit == repository.git("rev-parse", name)
        assert tree.id == repository.git("rev-parse", f"{name}^{{tree}}")
    assert repository.state() == state


def test_present_tree_has_what_a_commit_of_all_would_have(
    repository: Repository, workshop: Workshop
) -> None:
    """Changed, staged, removed and untracked files; and the index stays as it is."""
    repository.write(a_py="3", staged_py="staged", ignored_log="")
    repository.git("add", "staged.py")
    repository.write(staged_py="changed since")
    (repository.folder / "gone.py").unlink()
    (repository.folder / "new folder").mkdir()
    script = repository.folder / "new folder" / "a\nb é.sh"
    script.write_text("#!/bin/sh")
    script.chmod(0o755)
    (repository.folder / "link").symlink_to("/nowhere")
    state = repository.state()
    _, now = workshop.trees("HEAD")
    assert repository.state() == state
    assert contents(now) == {
        ".gitignore": "*.log\n",
        "a.py": "3",
        "staged.py": "changed since",
        "new folder/a\nb é.sh": "#!/bin/sh",
        "link": "→ /nowhere",
    }
    assert os.access(now.folder / "new folder/a\nb é.sh", os.X_OK)
    assert now.has_changes and now.commit == repository.git("rev-parse", "HEAD")
    repository.commit()
    assert now.id == repository.git("rev-parse", "HEAD^{tree}")


def test_commands_run_in_the_same_subfolder_of_each_tree(
    repository: Repository, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = repository.folder / "sub" / "deep"
    folder.mkdir(parents=True)
    (folder / "b.py").write_text("1")
    repository.commit()
    (folder / "b.py").write_text("2")
    monkeypatch.chdir(folder)
    before, now = workshop.trees("HEAD")
    assert (contents(before), contents(now)) == ({"b.py": "1"}, {"b.py": "2"})
    assert (now.folder / "../../a.py").read_text() == "2"


def test_subfolder_must_be_in_both_trees(
    repository: Repository, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository.folder / "sub").mkdir()
    monkeypatch.chdir(repository.folder / "sub")
    with pytest.raises(TreeError, match=r"^HEAD has no folder 'sub/'\.$"):
        workshop.trees("HEAD")


@pytest.mark.parametrize("name", ["no-such", "", "--all", "HEAD:a.py", "HEAD^{tree}", "main~9"])
def test_before_is_a_commit_or_a_folder(
    repository: Repository, workshop: Workshop, name: str
) -> None:
    with pytest.raises(NoTree, match="there is no commit and no folder"):
        workshop.trees(name)


def test_commit_comes_before_a_folder_of_its_name(
    repository: Repository, workshop: Workshop
) -> None:
    (repository.folder / "main").mkdir()
    assert workshop.trees("main")[0].commit


def test_folder_is_compared_with_all_files_of_a_repository(
    tmp_path: Path, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ignored ones too, which the folder has as well."""
    repository = Repository(tmp_path / "project")
    repository.commit(_gitignore="*.log\n")
    repository.write(a_py="2", b_log="")
    os.mkfifo(repository.folder / "pipe")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "a.py").write_text("1")
    monkeypatch.chdir(repository.folder)
    before, now = workshop.trees("../old")
    assert contents(before) == {"a.py": "1"}
    assert contents(now) == {".gitignore": "*.log\n", "a.py": "2", "b.log": ""}
    for tree in (before, now):
        assert (tree.commit, tree.has_changes) == ("", None)


@pytest.mark.parametrize("is_installed", [True, False])
def test_folders_are_copied_without_git(
    tmp_path: Path, workshop: Workshop, monkeypatch: pytest.MonkeyPatch, is_installed: bool
) -> None:
    for name in ("old", "project"):
        (tmp_path / name / "lib").mkdir(parents=True)
        (tmp_path / name / "lib" / "a.py").write_text(name)
    (tmp_path / "project" / "link").symlink_to("lib/a.py")
    monkeypatch.chdir(tmp_path / "project")
    if not is_installed:
        monkeypatch.setenv("PATH", str(tmp_path))
    before, now = workshop.trees("../old")
    assert contents(before) == {"lib/a.py": "old"}
    assert contents(now) == {"lib/a.py": "project", "link": "→ lib/a.py"}
    assert (now.commit, now.has_changes) == ("", None)
    assert now.id.startswith("sha256:") and now.id != before.id


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "a").write_text("2"),
        lambda folder: (folder / "a").rename(folder / "b"),
        lambda folder: (folder / "a").chmod(0o755),
        lambda folder: (folder / "link").unlink(),
        lambda folder: shutil.copy(folder / "a", folder / "b"),
    ],
)
def test_hash_of_a_folder_changes_with_each_file(
    tmp_path: Path,
    workshop: Workshop,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], object],
) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "a").write_text("1")
    (tmp_path / "old" / "link").symlink_to("a")
    shutil.copytree(tmp_path / "old", tmp_path / "same", symlinks=True)
    monkeypatch.chdir(tmp_path / "same")
    with Guard() as guard, Workshop(guard) as first:
        before, now = first.trees("../old")
        assert before.id == now.id
    change(tmp_path / "same")
    assert workshop.trees("../old")[1].id != before.id


def test_repository_that_cannot_be_used_is_an_error(
    tmp_path: Path, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Repository(tmp_path / "bare", "--bare").folder)
    with pytest.raises(TreeError, match=r"^Git: this operation must be run in a work tree\.$"):
        workshop.trees("HEAD")


def test_linked_worktree_is_a_repository_too(
    repository: Repository, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.git("worktree", "add", "--quiet", "../linked", "HEAD~1")
    monkeypatch.chdir("../linked")
    Path("a.py").write_text("3")
    before, now = workshop.trees("main")
    assert (contents(before)["a.py"], contents(now)["a.py"]) == ("2", "3")


def test_files_that_git_cannot_read_are_an_error(
    repository: Repository, workshop: Workshop
) -> None:
    Repository(repository.folder / "inner")
    with pytest.raises(TreeError, match=r"^Git: 'inner/' does not have a commit .* failed\.$"):
        workshop.trees("HEAD~1")


def test_what_is_not_supported_is_noted(repository: Repository, workshop: Workshop) -> None:
    inner = Repository(repository.folder / "inner")
    inner.commit(b_py="1")
    repository.commit(_gitattributes="*.bin filter=lfs\n.gitattributes export-ignore\n")
    repository.write(a_py="3")
    before, now = workshop.trees("HEAD")
    assert before.notes == (
        "Submodules are not supported: inner is empty in HEAD.",
        "Git LFS is not supported: HEAD may have pointers in place of files.",
        "Attributes of export in .gitattributes may change files of HEAD.",
    )
    assert len(now.notes) == 3 and not any((now.folder / "inner").iterdir())


def test_filter_may_print_more_than_a_pipe_holds(
    repository: Repository, workshop: Workshop
) -> None:
    script = "sh -c 'head -c 200000 /dev/zero | tr \\\\0 x >&2; cat'"
    repository.git("config", "filter.noisy.smudge", script)
    repository.commit(_gitattributes="*.py filter=noisy\n", a_py="3")
    before, _ = workshop.trees("HEAD")
    assert contents(before)["a.py"] == "3"


def test_variables_that_name_a_repository_are_those_of_git(repository: Repository) -> None:
    listed = repository.git("rev-parse", "--local-env-vars").split()
    known = {name for name in listed if not name.startswith("GIT_CONFIG")}
    assert len(known) > 5 and known <= {*REPOSITORY_VARIABLES}


# Commands.


def test_command_runs_in_its_tree_and_leaves_no_process(
    repository: Repository, workshop: Workshop
) -> None:
    tree, _ = workshop.trees("HEAD~1")
    workshop.run(
        ("sh", "-c", "sleep 600 & pwd > where; echo $A > a"), tree, {"A": "b", **os.environ}
    )
    assert (tree.folder / "where").read_text().strip() == str(tree.folder)
    assert (tree.folder / "a").read_text() == "b\n"
    assert not workshop._own.tree.is_running()


def test_command_that_fails_says_what_it_printed_last(
    repository: Repository, workshop: Workshop
) -> None:
    tree, _ = workshop.trees("HEAD~1")
    script = "import sys; [print(i, flush=True) for i in range(99)]; sys.exit('end')"
    with pytest.raises(CommandError, match=r"^exit code 1$") as failed:
        workshop.run((sys.executable, "-c", script), tree, os.environ)
    assert failed.value.output[-2:] == ("98", "end") and len(failed.value.output) == 20
    with pytest.raises(CommandError, match="it cannot be started: No such file") as failed:
        workshop.run(("./no-such-program",), tree, os.environ)
    assert failed.value.output == ()
