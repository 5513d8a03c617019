"""Apply each mutation to a copy of the tree, and expect that one of its test files fails.

A mutation is a patch, `<name>.patch`. Its first line says what is wrong with it; the next ones are
the test files that must catch it, three at most, and must pass without it. After an empty line
follows the diff.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).parent
TIMEOUT = 600  # seconds of one test file
CAUGHT, PASSED = "caught", "passed"


@dataclass(frozen=True)
class Mutation:
    """A patch, what is wrong with it, and the test files that must catch it."""

    patch: Path
    sentence: str
    tests: tuple[str, ...]


def read(patch: Path) -> Mutation:
    """Return the mutation of a patch."""
    sentence, *tests = patch.read_text().partition("\n\n")[0].split("\n")
    return Mutation(patch, sentence, tuple(tests))


def apply(mutation: Mutation, folder: Path, *options: str) -> bool:
    """Apply a mutation, and return whether that was possible."""
    command = ["git", "apply", *options, str(mutation.patch)]
    return subprocess.run(command, cwd=folder, capture_output=True).returncode == 0


def run_tests(folder: Path, file: str) -> str:
    """Run a test file until one of its tests fails; return PASSED, CAUGHT, or what is wrong."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", file]
    try:
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return f"TAKES MORE THAN {TIMEOUT} s: {file}"
    # pytest's exit code is another one if tests cannot be collected, or if there are none.
    how = {0: PASSED, 1: CAUGHT}.get(ended.returncode)
    return how or f"TESTS DO NOT RUN: {file}\n{ended.stdout}{ended.stderr}"


def judge(mutation: Mutation, root: Path = ROOT) -> str:
    """Return CAUGHT, or what is wrong."""
    with copied(root) as folder:
        if not apply(mutation, folder):
            return "DOES NOT APPLY"
        for file in mutation.tests:
            if (how := run_tests(folder, file)) != PASSED:
                return how
    return "ESCAPED"


@contextmanager
def copied(root: Path) -> Iterator[Path]:
    """Copy the files of a tree that Git does not ignore, beside the same environment."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    with tempfile.TemporaryDirectory(prefix="mutation-", ignore_cleanup_errors=True) as folder:
        copy = Path(folder)
        for name in listed.split("\0"):
            # A deleted file is listed too, until its deletion is staged.
            if (root / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(root / name, copy / name)
        (copy / ".venv").symlink_to(root / ".venv")
        yield copy


def main() -> int:
    """Judge the mutations that the arguments name, by default all; 0 if all are caught."""
    every = {path.stem: read(path) for path in sorted(FOLDER.glob("*.patch"))}
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help="of a mutation, without .patch")
    names = parser.parse_args().names or list(every)
    if unknown := set(names) - set(every):
        parser.error(f"there is no mutation {', '.join(sorted(unknown))}")
    files = sorted({file for name in names for file in every[name].tests})
    passed = report(files, lambda file: run_tests(ROOT, file), PASSED)
    caught = report(names, lambda name: judge(every[name]), CAUGHT)
    return 0 if passed and caught else 1


def report(names: Iterable[str], judge: Callable[[str], str], expected: str) -> bool:
    """Judge each name, print the result, and return whether all are as expected."""

    def timed(name: str) -> bool:
        start = time.monotonic()
        how = judge(name)
        print(f"{time.monotonic() - start:6.1f} s  {name}: {how}", flush=True)
        return how == expected

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return all(list(pool.map(timed, names)))
