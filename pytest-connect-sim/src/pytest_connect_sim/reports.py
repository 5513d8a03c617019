"""What is attached to the report of a failed test, and traces."""

from __future__ import annotations

import os
import platform
import re
import tempfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_connect_sim.expectations import ExpectationError
from pytest_connect_sim.server import SandboxError, Server, without_secrets
from pytest_connect_sim.simulator import ConnectSim
from pytest_connect_sim.version import VERSION

Json = dict[str, Any]

SUFFIX = ".connect-sim-trace"
_LONGEST = 32 * 1024  # characters of a report and of a log that a trace has
_SHORT = 6  # characters that a key has at least


@dataclass(frozen=True)
class Mark:
    """Where the log of the sandbox was when a test began."""

    server: Server
    offset: int

    def log(self) -> str:
        """Return what was logged since then."""
        return self.server.log_since(self.offset)


def or_fail(function: Callable[[], Any]) -> Any:
    """Return the result; an error of the set-up fails the test with its text alone."""
    try:
        return function()
    except SandboxError as error:
        text = str(error)
    # Outside: the report would show the error as the context of this one.
    pytest.fail(text, pytrace=False)


def of_soft(failures: list[ExpectationError]) -> str:
    """Return the text of failed soft expectations, with one timeline."""
    count = f"{len(failures)} soft expectation{'s are' if len(failures) > 1 else ' is'} not met."
    parts = [f"{number}. {e.place}: {e.summary}" for number, e in enumerate(failures, 1)]
    return "\n\n".join([count, *parts, failures[-1].happened])


def summarize(report: pytest.TestReport, sentence: str) -> None:
    """Let pytest's short summary show a sentence instead of the name of the exception."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        crash.message = sentence


def sections(
    sim: ConnectSim, mark: Mark, soft: list[ExpectationError], *, with_timeline: bool
) -> list[tuple[str, str]]:
    """Return the sections of a report; `soft` are failures of one that failed otherwise."""
    version = mark.server.version or "of unknown version"
    about = f"{sim.url}, seed {sim.seed}, plugin {VERSION}, sandbox {version}"
    found = [("Connect Sim", about)]
    if soft:
        found.append(("Connect Sim: soft expectations", of_soft(soft)))
    if with_timeline:
        timeline = sim._observer.safely("report")
        errors = sim._observer.safely("last_api_error")
        found.append(("Connect Sim: timeline since the test began", "\n".join(timeline)))
        if errors:
            found.append(("Connect Sim: the handler's last API error", "\n".join(errors)))
    for extension in sim._extensions:
        found.append((f"Connect Sim: runner of {extension.id}", extension.output().strip()))
    if log := mark.log().strip():
        found.append(("Connect Sim: log", log))
    return found


def file_name(nodeid: str) -> str:
    """Return the name of a test's trace.

    Names that are cut, or differ in other characters only, differ by a checksum.
    """
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", nodeid).strip("-.")[-150:] or "test"
    if "-" in nodeid or name != nodeid.replace("::", "-").replace("/", "-"):
        name = f"{name}-{zlib.crc32(nodeid.encode()):08x}"
    return f"{name}{SUFFIX}"


def write_trace(path: Path, sim: ConnectSim, mark: Mark, about: Json) -> None:
    """Write the sandbox's trace of a test; raises OSError, ApiError, Unreachable.

    `about`: name, result, failures and report.
    """
    secrets = [key.rpartition(":")[2] for key in (sim.vendor_key, sim.provider_key)]
    body = {
        **about,
        "kind": "test",
        "since": sim._observer.since,
        "seed": sim.seed,
        "versions": {
            "pytest-connect-sim": VERSION,
            "python": platform.python_version(),
            "platform": platform.platform(),
        },
        "failures": [{**each, "text": _hide(each["text"], secrets)} for each in about["failures"]],
        "report": _hide(about["report"][-_LONGEST:], secrets),
        "log": _hide(mark.log()[-_LONGEST:], secrets),
    }
    data = mark.server.client().download("/sandbox/trace-file", body)
    with suppress(FileExistsError):
        path.parent.mkdir(parents=True)
        # Git ignores the new folder, so that no trace is taken for a change of the project.
        (path.parent / ".gitignore").write_text("*\n")
    # mkstemp gives it the mode 0600: a trace has everything that was sent and returned.
    handle, draft = tempfile.mkstemp(prefix=".", suffix=".draft", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(draft).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(draft).unlink()
        raise


def failure(sentence: str) -> Json:
    """Return why a test failed that no expectation tells."""
    return {
        "text": sentence,
        "object": None,
        "webhook": None,
        "reasons": [],
        "near_misses": [],
        "evidence": [],
    }


def _hide(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        # A short one would be in ordinary words.
        text = text.replace(secret, "(hidden)") if len(secret) >= _SHORT else text
    # JSON that a database can store has neither NUL nor half a surrogate pair.
    return without_secrets(text).replace("\0", "\u2400").encode("utf-8", "replace").decode()
