"""The example handlers as processes that run against a sandbox."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from portal.starters import LANGUAGES
from tests import environments, orders
from tests.processes import ROOT, Process, Sandbox, free_port

EXAMPLES = ROOT / "examples"


@dataclass
class Example:
    """An example as a process, and its URL."""

    process: Process
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Start the example, and wait until it listens."""
        self.process.start().wait_to_listen(self.port)


def require(language: str) -> None:
    """Skip the test loudly if the machine lacks a language."""
    program = LANGUAGES[language].command.split()[0]
    if shutil.which(program) is None:
        label = LANGUAGES[language].label
        pytest.skip(f"{program} is not installed: the handler in {label} was not run")


def command(language: str) -> list[str]:
    """Return the command of the example in a language, with `{host}` and `{port}` in it."""
    require(language)
    *words, file = LANGUAGES[language].command.split()
    return [*words, str(EXAMPLES / f"{language}_handler" / file)]


@contextmanager
def example(running: Sandbox, language: str, folder: Path, **variables: str) -> Iterator[Example]:
    """Run an example against the sandbox for the block."""
    port = free_port()
    env = {
        **environments.calling_loopback(),
        "CONNECT_API_KEY": f"ApiKey {running.vendor_key}",
        "JWT_SECRET": orders.SECRET,
        "PORT": str(port),
        **variables,
    }
    words = [word.format(host="127.0.0.1", port=port) for word in command(language)]
    example = Example(Process(words, env, folder / "example.log"), port)
    example.start()
    try:
        yield example
    finally:
        example.process.stop()
