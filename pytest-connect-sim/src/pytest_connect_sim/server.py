"""A sandbox in use: its address and keys, and the log if this process has started it."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pytest_connect_sim.client import ApiError, Client, Unreachable
from pytest_connect_sim.literals import Account

# API keys and one-time links in the output of a sandbox.
_SECRETS = re.compile(r"\bSU-\d{3}-\d{3}-\d{3}:\S+|/sign-in/\S+")
_NOT_FOUND = 404
_ENDING = 16 * 1024  # bytes of a log that are shown


class SandboxError(Exception):
    """No sandbox can be found or started; the text says what to do."""


@dataclass(frozen=True)
class Server:
    """A running sandbox; the repr shows no key. `is_shared`: others may use it, too."""

    url: str
    vendor_key: str = field(repr=False)
    provider_key: str = field(repr=False)
    is_shared: bool = False
    log: Path | None = None
    # Empty if the sandbox doesn't tell.
    version: str = ""

    @property
    def api_url(self) -> str:
        """The base URL of Connect's API, which a handler calls."""
        return f"{self.url}/public/v1"

    def client(self, account: Account = "vendor") -> Client:
        """Return a client of the whole server for `vendor` or `provider`."""
        if account not in self._clients:
            raise ValueError(f"Unknown account {account!r}. Available: vendor, provider.")
        return self._clients[account]

    @cached_property
    def _clients(self) -> dict[str, Client]:
        # Of all tests, which share their connections.
        vendor, provider = (Client(self.url, key) for key in (self.vendor_key, self.provider_key))
        return {"vendor": vendor, "provider": provider, "distributor": provider}

    def log_size(self) -> int:
        """Return the size of the log in bytes."""
        return self.log.stat().st_size if self.log and self.log.exists() else 0

    def log_since(self, offset: int = 0) -> str:
        """Return the end of what was logged since then, without secrets."""
        if not self.log or not self.log.exists():
            return ""
        with self.log.open("rb") as file:
            file.seek(max(offset, self.log_size() - _ENDING))
            text = file.read().decode(errors="replace")
        return without_secrets(text)


def without_secrets(text: str) -> str:
    """Return the output of a sandbox without API keys and sign-in links."""
    return _SECRETS.sub("(hidden)", text)


def configured(url: str) -> Server:
    """Return the sandbox that runs at a URL, with the keys of the environment or sandbox.json.

    Raises SandboxError.
    """
    url = _root(url)
    vendor, provider = (
        os.environ.get(f"CONNECT_SIM_{name}_KEY", "").strip() for name in ("VENDOR", "PROVIDER")
    )
    if not (vendor and provider):
        found = _from_file()
        vendor, provider = vendor or found["vendor_api_key"], provider or found["provider_api_key"]
    return Server(url, vendor, provider, is_shared=True)


def checked(server: Server) -> Server:
    """Return the sandbox with its version, if it accepts the keys; raises SandboxError."""
    try:
        server.client("provider").get("/sandbox/cursor")
        server.client().get("/sandbox/cursor")
        return replace(server, version=str(server.client().get("/sandbox/version")["version"]))
    except ApiError as error:
        if error.status == _NOT_FOUND and error.path == "/sandbox/version":
            return server
        raise SandboxError(
            f"The sandbox at {server.url} refuses the API keys ({error.status}), or is not a "
            "sandbox. Are CONNECT_SIM_VENDOR_KEY and CONNECT_SIM_PROVIDER_KEY those of its "
            "sandbox.json?"
        ) from None
    except Unreachable as error:
        raise SandboxError(str(error)) from None


def _root(url: str) -> str:
    root = url.strip().rstrip("/")
    if root.endswith("/public/v1"):
        root = root[: -len("/public/v1")]
    if not re.match(r"https?://[^/\s]+$", root):
        raise SandboxError(
            f"{url!r} is not the URL of a sandbox. Use its root, such as http://127.0.0.1:8000."
        )
    return root


def _from_file() -> Any:
    folder = os.environ.get("SIM_DATA_DIR", "").strip() or "var"
    path = Path(folder) / "sandbox.json"
    try:
        return read_keys(path)
    except (OSError, ValueError, KeyError) as error:
        raise SandboxError(
            "The keys of the sandbox are not known. Set CONNECT_SIM_VENDOR_KEY and "
            f"CONNECT_SIM_PROVIDER_KEY, or SIM_DATA_DIR to the folder of its sandbox.json ({path} "
            f"cannot be read: {type(error).__name__})."
        ) from None


def read_keys(path: Path) -> Any:
    """Return the content of a sandbox.json; raises OSError, ValueError, KeyError."""
    content = json.loads(path.read_text(encoding="utf-8"))
    for name in ("url", "vendor_api_key", "provider_api_key"):
        if not isinstance(content[name], str):
            raise ValueError(name)
    return content
