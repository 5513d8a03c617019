"""Options of the command line and of the ini file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

TRACES = ("off", "on-failure", "on")
MARKER = (
    'connect_sim(seed, product="PRD-…"): the seed of made-up data, and the product that '
    "connect_sim.product() returns"
)


def add(parser: pytest.Parser) -> None:
    """Define the options."""
    group = parser.getgroup("connect-sim", "Connect Sim, a sandbox of CloudBlue Connect")
    group.addoption(
        "--connect-sim-url",
        metavar="URL",
        default="",
        help="a sandbox that runs already (also CONNECT_SIM_URL)",
    )
    group.addoption(
        "--connect-sim-command",
        metavar="COMMAND",
        default="",
        help="the command that starts a sandbox, such as '.server/bin/connect-sim sandbox'",
    )
    group.addoption(
        "--connect-sim-trace",
        metavar="WHEN",
        choices=TRACES,
        default=None,
        help="write a trace of each test, for connect-sim trace: on-failure, on, off",
    )
    group.addoption(
        "--connect-sim-trace-dir",
        metavar="FOLDER",
        default="connect-sim-traces",
        help="the folder of traces (connect-sim-traces)",
    )
    group.addoption(
        "--connect-sim-coverage",
        metavar="FILE.json",
        nargs="?",
        const="",
        default=None,
        help="show which cases the tests made happen, and write it to a file",
    )
    group.addoption(
        "--connect-sim-fail-under",
        metavar="PERCENT",
        default=None,
        help="fail if less of the cases is covered",
    )
    parser.addini("connect_sim_command", "the command that starts a sandbox", default="")
    parser.addini("connect_sim_uvx", "start the sandbox by uvx", type="bool", default=False)
    parser.addini("connect_sim_trace", "as --connect-sim-trace", default="off")
    for name, seconds, text in (
        ("timeout", "5", "real seconds that an expectation waits"),
        ("start_timeout", "60", "seconds in which the sandbox starts"),
        ("lease_timeout", "600", "seconds for which a test waits for a shared sandbox"),
    ):
        parser.addini(f"connect_sim_{name}", text, default=seconds)


def url(config: pytest.Config) -> str:
    """Return the URL of a sandbox that runs, empty without one."""
    return str(config.getoption("--connect-sim-url") or os.environ.get("CONNECT_SIM_URL", ""))


def command(config: pytest.Config) -> str:
    """Return the command that starts a sandbox, empty without one."""
    given = config.getoption("--connect-sim-command")
    return str(given or config.getini("connect_sim_command"))


def uvx(config: pytest.Config) -> bool:
    """Return whether uvx may start the sandbox."""
    return bool(config.getini("connect_sim_uvx"))


def seconds(config: pytest.Config, name: str) -> float:
    """Return an ini option in seconds; raises UsageError."""
    text = str(config.getini(f"connect_sim_{name}"))
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 < value < 10**6:
        raise pytest.UsageError(f"connect_sim_{name} is {text!r}: a number of seconds is required.")
    return value


def trace(config: pytest.Config) -> str:
    """Return when traces are written; raises UsageError."""
    value = str(config.getoption("--connect-sim-trace") or config.getini("connect_sim_trace"))
    if value not in TRACES:
        raise pytest.UsageError(f"connect_sim_trace is {value!r}. Available: {', '.join(TRACES)}.")
    return value


def trace_dir(config: pytest.Config) -> Path:
    """Return the folder of traces."""
    return Path(str(config.getoption("--connect-sim-trace-dir")))


def coverage(config: pytest.Config) -> tuple[bool, Path | None, float | None]:
    """Return whether coverage is wanted, its file, and the least percentage; raises UsageError."""
    file, text = (config.getoption(f"--connect-sim-{name}") for name in ("coverage", "fail-under"))
    if file and not file.endswith(".json"):
        # Without "=", the option takes the word that follows, which may be a test.
        raise pytest.UsageError(
            f"--connect-sim-coverage={file}: name a file that ends with .json. Without a file, "
            "put the option after the tests."
        )
    try:
        least = None if text is None else float(text)
    except ValueError:
        least = -1.0
    if least is not None and not 0 <= least <= 100:
        raise pytest.UsageError(f"--connect-sim-fail-under={text}: a percentage is required.")
    return file is not None or least is not None, Path(file) if file else None, least


def marked(node: pytest.Item) -> tuple[Any, str]:
    """Return seed and product of a test's marker; raises UsageError."""
    values: dict[str, Any] = {}
    for marker in reversed(list(node.iter_markers("connect_sim"))):
        values.update(marker.kwargs)
        unknown = set(marker.kwargs) - {"seed", "product"}
        if marker.args or unknown:
            raise pytest.UsageError(
                f"{node.nodeid}: the marker is {MARKER.partition(':')[0]}, by keywords."
            )
    seed, product = values.get("seed"), values.get("product", "")
    if isinstance(seed, bool) or not isinstance(seed, (int, type(None))):
        raise pytest.UsageError(f"{node.nodeid}: the seed of connect_sim is an int.")
    if not isinstance(product, str):
        raise pytest.UsageError(f"{node.nodeid}: the product of connect_sim is its id.")
    return seed, product
