"""What a run of checks is asked to do."""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

EVENT, VALIDATOR, ALL, EXTENSION = "event", "validator", "all", "extension"
RUNNER = "cextrun"
START, JOBS = 30.0, 4  # defaults: seconds until a handler is ready, and throwaway sandboxes
# The same for the runner of an extension, which imports for seconds in each of its processes.
RUNNER_START = 120.0
BUDGET, GRACE = 30.0, 10.0  # defaults: seconds for the moments of all `turn.*`, and after SIGTERM


def new_name() -> str:
    """Return the name of a new run, so long that nobody else names anything like it."""
    return secrets.token_hex(8)


def snapshot_before(name: str) -> str:
    """Return the name of the snapshot to which a run goes back at the end."""
    return f"before-check-{name}"


def snapshot_base(name: str) -> str:
    """Return the name of the snapshot to which a run goes back after each check."""
    return f"check-{name}"


def lease_note(name: str) -> str:
    """Return the note of a run's lease, and the label of its webhooks."""
    return f"connect-sim check {name}"


def run_of(text: str) -> str:
    """Return the name of the run that a snapshot or a webhook with this label belongs to, or ""."""
    found = re.fullmatch("(?:before-check-|check-|connect-sim check )([0-9a-f]{16})", text)
    return found[1] if found else ""


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    """A sandbox that runs already; the repr shows no key."""

    url: str
    vendor_key: str = field(repr=False)
    provider_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Options:
    """What a run of checks is asked to do; the command line has checked the values.

    Either `url` with `secret` (or `webhook`, which has both) and a running `sandbox`, or `run`, a
    command line that starts the handler, which is called at `path`, or the `runner` of the
    extension in `cwd` (of type EXTENSION). `selected` and `ignored` are globs of ids. `invalid` are
    values that a validator refuses, by parameter. `jobs` is the number of throwaway sandboxes.
    `run_next` is the command of the handler's next version, by default `run`. The checks of `turn`
    have `budget` seconds together, and try only the moment `pair` if one is named; `grace` is how
    long a handler may take to end. After `max_time` seconds, what is left is inconclusive; 0: no
    limit. `name` is in the names of what a run creates in a running sandbox; a new one if it is
    empty.
    `traces` is the folder for the traces of failures; None: none are written. A run that `measures`
    begins with a request that shows how long the handler takes.
    """

    url: str = ""
    run: str = ""
    secret: str = field(default="", repr=False)
    webhook: str = ""
    runner: str = RUNNER
    multi_account: bool = False
    sandbox: RunningSandbox | None = None
    type: str = EVENT
    method: str = "POST"
    product: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    path: str = "/"
    ready_url: str = ""
    start_timeout: float = START
    selected: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    strict: bool = False
    fail_fast: bool = False
    max_time: float = 0.0
    deep: bool = False
    keep: bool = False
    seed: int = 0
    invalid: Mapping[str, str] = field(default_factory=dict)
    jobs: int = JOBS
    run_next: str = ""
    budget: float = BUDGET
    grace: float = GRACE
    pair: str = ""
    name: str = ""
    traces: Path | None = None
    measures: bool = True

    @property
    def target(self) -> str:
        """The handler, for a report."""
        if self.type == EXTENSION:
            return f"the extension in {self.cwd}"
        return self.run or self.url or self.webhook

    @property
    def secrets(self) -> tuple[str, ...]:
        """What a report must not show."""
        keys = (self.sandbox.vendor_key, self.sandbox.provider_key) if self.sandbox else ()
        return tuple(filter(None, (self.secret, *keys)))

    def without_values(self) -> Options:
        """Return the options for a command line that others may read: a variable may be secret."""
        return replace(self, environment=dict.fromkeys(self.environment, "…"))

    def reproduce(self, check: str, *more: str) -> str:
        """Return the command line that runs one check again; secrets are named, not shown."""
        return shlex.join([*self.words(), "--select", check, *more, "--seed", str(self.seed)])

    def words(self, *command: str) -> list[str]:
        """Return the words of a command line that checks this handler."""
        words = ["connect-sim", "check", *command]
        if self.type == EXTENSION:
            words += ["--extension", str(self.cwd)]
        elif self.run:
            words += ["--run", self.run]
        elif self.webhook:
            words += ["--webhook", self.webhook]
        else:
            words.append(self.url)
        start = RUNNER_START if self.type == EXTENSION else START
        for name, value in (
            ("--type", self.type if self.type not in (EVENT, EXTENSION) else ""),
            ("--runner", self.runner if self.runner != RUNNER else ""),
            ("--method", self.method if self.method != "POST" else ""),
            ("--product", self.product),
            ("--cwd", str(self.cwd or "") if self.type != EXTENSION else ""),
            ("--path", self.path if self.path != "/" else ""),
            ("--ready-url", self.ready_url),
            ("--start-timeout", f"{self.start_timeout:g}" if self.start_timeout != start else ""),
            ("--jobs", str(self.jobs) if self.jobs != JOBS else ""),
            ("--run-next", self.run_next),
            ("--budget", f"{self.budget:g}" if self.budget != BUDGET else ""),
            ("--grace", f"{self.grace:g}" if self.grace != GRACE else ""),
        ):
            if value:
                words += [name, value]
        for name, value in self.environment.items():
            words += ["--env", f"{name}={value}"]
        for name, value in self.invalid.items():
            words += ["--invalid", f"{name}={value}"]
        if self.multi_account:
            words.append("--multi-account")
        if self.deep:
            words.append("--deep")
        return words
