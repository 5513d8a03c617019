"""States of a project's files, each in a temporary folder: from Git, or copied.

Nothing of the user's repository is written: no work tree, index, object or reference.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from checks.guard import Guard
from checks.guarded_folder import GuardedFolder

# By these a hook of Git, or a script, names a repository, which may be another one: those of
# `git rev-parse --local-env-vars`, without configuration, which says, for example, that the
# repository of another user is safe.
REPOSITORY_VARIABLES = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)
# No lock, hook or background process of the user's repository, and no files of Git LFS there, for
# which it may ask a server.
_SETTINGS = (
    "core.fsmonitor=false",
    "core.safecrlf=false",
    f"core.hooksPath={os.devnull}",
    *(f"filter.lfs.{name}=" for name in ("clean", "smudge", "process")),
    "filter.lfs.required=false",
)
_GIT = ("git", "--no-optional-locks", *(word for each in _SETTINGS for word in ("-c", each)))
_GITLINK = "160000"  # the mode of a submodule
_LINES, _TAIL = 20, 16 * 1024  # last lines, and bytes, of the output of a command that fails


class TreeError(Exception):
    """A tree cannot be made; the text is one sentence."""


class NoTree(TreeError):
    """There is neither such a commit nor such a folder."""


class CommandError(TreeError):
    """A command has failed in a tree; `output` are the last lines that it printed."""

    def __init__(self, text: str, output: tuple[str, ...]) -> None:
        super().__init__(text)
        self.output = output


@dataclass(frozen=True, slots=True)
class Tree:
    """Files of a project; `folder` is where its commands run, the same subfolder in each tree.

    `name` is what the user calls it. `id` is Git's of the tree, without Git `sha256:` and a hash of
    all files. `has_changes` says whether it differs from `commit`; without Git, it is None and
    `commit` is empty. `notes` are sentences about what is missing.
    """

    name: str
    folder: Path
    id: str
    commit: str = ""
    has_changes: bool | None = None
    notes: tuple[str, ...] = ()


class Workshop:
    """Temporary folders with trees, and commands in them; a context manager that removes them all.

    Also if this program is killed, on Linux with all processes that they have started.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard, self._own = guard, GuardedFolder(guard, "CONNECT_SIM_TREES")
        self._folder = self._own.path

    def __enter__(self) -> Workshop:
        return self

    def __exit__(self, *error: object) -> None:
        self._own.remove()

    def trees(self, before: str) -> tuple[Tree, Tree]:
        """Return the tree of a commit, or of a folder, and the present one; raises TreeError."""
        repository, target = self._find_repository(), self._folder / "before"
        first = repository.extract(before, target) if repository else None
        if first is None or repository is None:
            if not before or not Path(before).is_dir():
                where = (
                    "here; fetch it first" if repository else "and the current one is not in Git"
                )
                raise NoTree(f"there is no commit and no folder {before!r} {where}.")
            # Both in the same way, or they would differ in what Git ignores.
            now = self._copy("the current folder", Path.cwd(), self._folder / "now")
            return self._copy(before, Path(before), target), now
        second = repository.extract_present(self._folder / "now")
        for tree in (first, second):
            if not tree.folder.is_dir():
                raise TreeError(f"{tree.name} has no folder {repository.subfolder!r}.")
        return first, second

    def run(self, command: tuple[str, ...], tree: Tree, environment: Mapping[str, str]) -> None:
        """Run a command in a tree to its end, and end what it leaves; raises CommandError."""
        log = self._folder / "log"
        group = self._own.tree
        try:
            with log.open("wb") as file:
                process = subprocess.Popen(
                    command,
                    cwd=tree.folder,
                    env={**environment, **self._own.variables},
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                group.group = process.pid
                self._guard.add_group(process.pid)
                code = process.wait()
        except OSError as error:
            raise CommandError(f"it cannot be started: {error.strerror}", ()) from None
        finally:
            group.kill()
            self._guard.remove_group(group.group)
            group.group = 0
        if code:
            with log.open("rb") as file:
                file.seek(max(0, log.stat().st_size - _TAIL))
                lines = file.read().decode(errors="replace").splitlines()[-_LINES:]
            raise CommandError(f"exit code {code if code > 0 else 128 - code}", tuple(lines))

    def _find_repository(self) -> _Repository | None:
        """Return the repository of the current folder, None without one; raises TreeError."""
        git = _Git(Path.cwd(), {**os.environ, **self._own.variables, "LC_ALL": "C"})
        try:
            top, subfolder = git.lines("rev-parse", "--show-toplevel", "--show-prefix")
        except FileNotFoundError:
            return None
        except TreeError as error:
            if "not a git repository" in str(error):
                return None
            raise
        scratch = self._folder / "git"
        (scratch / "objects").mkdir(parents=True)
        return _Repository(_Git(Path(top), git.environment), subfolder, scratch)

    def _copy(self, name: str, source: Path, target: Path) -> Tree:
        """Copy a folder without its repository, if it has one; raises TreeError."""

        def ignored(folder: str, names: list[str]) -> set[str]:
            # Sockets and pipes, for example, can't be copied; Git leaves them out, too.
            paths = {name: Path(folder, name) for name in names}
            return {".git", self._folder.name} | {
                name
                for name, path in paths.items()
                if not (path.is_symlink() or path.is_file() or path.is_dir())
            }

        try:
            shutil.copytree(source, target, symlinks=True, ignore=ignored)
        except OSError as error:
            raise TreeError(f"{source} cannot be copied: {_reason(error)}.") from None
        return Tree(name, target, f"sha256:{_hash(target)}")


@dataclass(frozen=True, slots=True)
class _Git:
    """Git in a folder; its messages are in English."""

    folder: Path
    environment: Mapping[str, str]

    def lines(self, *arguments: str) -> list[str]:
        """Return the lines that Git prints; raises TreeError with its message."""
        ended = subprocess.run(
            [*_GIT, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
        if ended.returncode:
            raise TreeError(_git_says(ended.stderr))
        return ended.stdout.decode(errors="surrogateescape").removesuffix("\n").split("\n")

    def attributes(self, tree: str) -> str:
        """Return all files `.gitattributes` of a tree; raises TreeError."""
        names = "\n".join(self.lines("ls-tree", "-r", "-z", "--name-only", tree)).split("\0")
        chosen = [name for name in names if name.rpartition("/")[2] == ".gitattributes"]
        return "\n".join(line for name in chosen for line in self.lines("show", f"{tree}:{name}"))

    def archive(self, tree: str, target: Path) -> None:
        """Extract a tree into a new folder; raises TreeError."""
        target.mkdir()
        problem = ""
        # A file: a pipe that is full, of what a filter prints for example, would stop Git.
        with tempfile.TemporaryFile() as errors:
            with subprocess.Popen(
                [*_GIT, "archive", "--format=tar", tree],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
            ) as process:
                try:
                    with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
                        # Links may lead anywhere, as in a checkout, but no file is written outside.
                        archive.extraction_filter = getattr(tarfile, "tar_filter", None)
                        archive.extractall(target)
                except (OSError, tarfile.TarError) as error:
                    process.kill()
                    problem = f"{tree} cannot be extracted: {_reason(error)}."
            if problem or process.returncode:
                errors.seek(0)
                messages = errors.read()
                raise TreeError(_git_says(messages) if messages or not problem else problem)


@dataclass(frozen=True, slots=True)
class _Repository:
    """A repository that is only read; `subfolder` is where in it the program was started."""

    git: _Git
    subfolder: str
    scratch: Path

    def extract(self, name: str, target: Path) -> Tree | None:
        """Return the tree of a commit, None if there is no such commit; raises TreeError."""
        commit = self._commit(name)
        return self._tree(self.git, name, target, commit) if commit else None

    def extract_present(self, target: Path) -> Tree:
        """Return the tree of the files as they are, ignored ones left out; raises TreeError.

        It is the one that a commit of all of them would have, which Git makes in a copy of the
        index, and with a folder of its own for new objects.
        """
        index, objects = self.git.lines(
            *("rev-parse", "--path-format=absolute", "--git-path", "index"),
            *("--git-path", "objects"),
        )
        own = {
            **self.git.environment,
            "GIT_INDEX_FILE": str(self.scratch / "index"),
            "GIT_OBJECT_DIRECTORY": str(self.scratch / "objects"),
        }
        if Path(index).exists():
            shutil.copy2(index, self.scratch / "index")
        # Without the existing objects, whose times Git would renew.
        git = _Git(self.git.folder, own)
        git.lines("add", "--all")
        [tree] = git.lines("write-tree", "--missing-ok")
        head = self._commit("HEAD")
        if head and self.git.lines("rev-parse", f"{head}^{{tree}}") == [tree]:
            return self._tree(self.git, "HEAD", target, head)
        git = _Git(self.git.folder, {**own, "GIT_ALTERNATE_OBJECT_DIRECTORIES": objects})
        return self._tree(git, "the work tree", target, head, tree)

    def _commit(self, name: str) -> str:
        """Return the id of a commit, empty if there is none."""
        try:
            arguments = ("rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}")
            return self.git.lines(*arguments)[-1] if name else ""
        except TreeError:
            return ""

    def _tree(self, git: _Git, name: str, target: Path, commit: str, changed: str = "") -> Tree:
        """Extract a commit, or the tree that it has become."""
        git.archive(changed or commit, target)
        [tree] = git.lines("rev-parse", f"{changed or commit}^{{tree}}")
        entries = "\n".join(git.lines("ls-tree", "-r", "-z", tree)).split("\0")
        links = [entry.partition("\t")[2] for entry in entries if entry.startswith(_GITLINK)]
        notes = []
        if links:
            notes.append(f"Submodules are not supported: {', '.join(links)} is empty in {name}.")
        attributes = git.attributes(tree)
        if "filter=lfs" in attributes:
            notes.append(f"Git LFS is not supported: {name} may have pointers in place of files.")
        if "export-ignore" in attributes or "export-subst" in attributes:
            notes.append(f"Attributes of export in .gitattributes may change files of {name}.")
        return Tree(name, target / self.subfolder, tree, commit, bool(changed), tuple(notes))


def _hash(folder: Path) -> str:
    """Return a hash of names, contents, links and which files are executable."""
    result = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            kind, digest = b"link", hashlib.sha256(os.fsencode(path.readlink())).hexdigest()
        elif path.is_file():
            kind = b"program" if os.access(path, os.X_OK) else b"file"
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        else:
            continue
        result.update(
            b"%b %b %b\0" % (kind, digest.encode(), os.fsencode(path.relative_to(folder)))
        )
    return result.hexdigest()


def _git_says(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines() or ["no message"]
    marked = [line for line in lines if line.startswith(("error: ", "fatal: "))] or lines[-1:]
    return f"Git: {'; '.join(re.sub('^(error|fatal): ', '', line) for line in marked).rstrip('.')}."


def _reason(error: Exception) -> str:
    if isinstance(error, shutil.Error):
        return str(error.args[0][0][2]).rstrip(".")
    return getattr(error, "strerror", None) or str(error).rstrip(".")
