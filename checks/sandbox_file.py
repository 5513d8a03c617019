"""`SIM_DATA_DIR/sandbox.json` (0600): URLs and API keys of the running sandbox.

Commands find the sandbox by it, and each start reuses its keys while they are valid; the database
stores hashes only.
"""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass, field
from pathlib import Path

from requests_queue import whole_files

NAME = "sandbox.json"


@dataclass(frozen=True, slots=True)
class Sandbox:
    """URL of the server's root, and the API keys (`SU-…:secret`); the repr shows no key.

    `url` is for browsers and tests (SIM_PUBLIC_URL). `local_url` is the address that the server
    listens on, which only programs on its `machine` (a host name) may use: a container listens on
    another port than the one that it publishes.
    """

    url: str
    vendor_api_key: str = field(repr=False)
    provider_api_key: str = field(repr=False)
    local_url: str = ""
    machine: str = ""

    @property
    def address(self) -> str:
        """Return the URL of the server's root for programs on this machine."""
        return self.local_url if self.machine == socket.gethostname() else self.url


class NoSandbox(Exception):
    """The file is missing or unreadable; the text is a sentence that says what to do."""


def read(data_dir: Path) -> Sandbox:
    """Return the content of the file; raises NoSandbox."""
    path = data_dir / NAME
    try:
        return Sandbox(**json.loads(path.read_text()))
    except FileNotFoundError:
        raise NoSandbox(
            f"{path} does not exist. Start the sandbox first (`connect-sim`)."
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise NoSandbox(
            f"{path} cannot be read ({type(error).__name__}). Delete it and restart the sandbox."
        ) from None


def write(data_dir: Path, sandbox: Sandbox) -> None:
    """Write the file atomically, readable by its owner only."""
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    whole_files.write(data_dir / NAME, json.dumps(asdict(sandbox), indent=2).encode())
