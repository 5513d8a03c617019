"""The examples as processes that run against a sandbox."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

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
        """Start the example, and wait until it reports that it listens."""
        self.process.start_until("Listening")


# Returns the command line of an example, to be run in a temporary folder.
Command = Callable[[Path], list[str]]


def python(folder: Path) -> list[str]:
    """Return the command of the example in Python."""
    source = EXAMPLES / "python_handler"
    requirements = (source / "requirements.txt").read_text()
    return [
        str(environments.python("python_handler", requirements)),
        str(source / "handler.py"),
    ]


def node(folder: Path) -> list[str]:
    """Return the command of the example in Node.js, in a folder of its own."""
    source = EXAMPLES / "node_handler"
    installed = environments.node("node_handler", source / "package.json")
    # ES modules look up packages relative to their file; the examples' folder stays clean.
    shutil.copy(source / "handler.mjs", folder)
    (folder / "node_modules").symlink_to(installed / "node_modules")
    return ["node", str(folder / "handler.mjs")]


@contextmanager
def example(
    running: Sandbox, command: Command, folder: Path, **variables: str
) -> Iterator[Example]:
    """Run an example against the sandbox for the block."""
    port = free_port()
    env = {
        **environments.calling_loopback(),
        "CONNECT_API_KEY": f"ApiKey {running.vendor_key}",
        "JWT_SECRET": orders.SECRET,
        "PORT": str(port),
        **variables,
    }
    example = Example(Process(command(folder), env, folder / "example.log"), port)
    example.start()
    try:
        yield example
    finally:
        example.process.stop()
