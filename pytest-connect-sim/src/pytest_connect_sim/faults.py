"""`connect_sim.faults`: what goes wrong on purpose, and whether it did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pytest_connect_sim.client import ApiError, Client
from pytest_connect_sim.literals import FaultKind, FaultSide, Method
from pytest_connect_sim.objects import Named

# Reports of failed tests show no frames of this module.
__tracebackhide__ = True

Json = dict[str, Any]
_PATH = "/sandbox/faults"
_SCOPES = ("webhook", "account", "method", "path")
_WAIT = 5.0  # seconds


class Fault(Named):
    """A fault that a test has added; as a context manager it is cleared at the end of the block.

    `data` is its representation when it was last read.
    """

    def __init__(self, client: Client, data: Json, may_not_fire: bool = False) -> None:
        self._client = client
        self.data = data
        self.id: str = data["id"]
        self.name: str = data["name"]
        self.kind: str = data["kind"]
        self.may_not_fire = may_not_fire
        self.is_cleared = False

    def __enter__(self) -> Fault:
        return self

    def __exit__(self, *error: object) -> None:
        self.clear()

    @property
    def asked(self) -> int:
        """How many requests have matched."""
        return int(self._read()["asked"])

    @property
    def fired(self) -> int:
        """For how many requests it has fired."""
        return int(self._read()["fired"])

    @property
    def held(self) -> list[Json]:
        """The API calls that it holds, oldest first: `ordinal`, `method`, `path`."""
        return list(self._read()["held"])

    def wait_until_held(self, count: int = 1, timeout: float = _WAIT) -> list[Json]:
        """Wait until so many responses are held, and return their calls.

        Raises AssertionError after `timeout` seconds of real time.
        """
        query = {"held": count, "timeout": timeout}
        path = f"{_PATH}/{self.id}"
        self.data = self._client.call("GET", path, query=query, timeout=timeout + 60)
        held = list(self.data["held"])
        if len(held) < count:
            raise AssertionError(
                f"{self.name} holds {len(held)} of {count} responses after {timeout:g} s; "
                f"it was asked for {self.data['asked']} calls."
            )
        return held

    def release(self, count: int | None = None) -> list[Json]:
        """Send the oldest held responses, by default all; return their calls."""
        body = {} if count is None else {"count": count}
        return list(self._client.post(f"{_PATH}/{self.id}/release", body)["released"])

    def clear(self) -> None:
        """Clear it, which also sends what it holds; its counts can still be read."""
        if not self.is_cleared:
            self._update("DELETE")
            self.is_cleared = True

    def describe(self) -> str:
        """Return its name, and what it is limited to."""
        scope = [f"{key} {self.data[key]}" for key in _SCOPES if self.data.get(key)]
        side = {"api": "API calls", "task": "tasks"}.get(self.data["side"], "deliveries")
        kind = f"{self.kind} of {', '.join([side, *scope])}"
        return f"{self.name} ({kind}): asked for {_times(self.data['asked'])}, never fired"

    def _read(self) -> Json:
        if not self.is_cleared:
            self._update("GET")
        return self.data

    def _update(self, method: str) -> None:
        """Read or clear it; keep the last counts if a reset or somebody else has cleared it."""
        try:
            self.data = self._client.call(method, f"{_PATH}/{self.id}")
        except ApiError as error:
            if error.status != 404:
                raise
            self.is_cleared = True


class Faults:
    """The faults of a test.

    A fault that never fires has tested nothing: the test fails at its end, unless the fault was
    added with `may_not_fire=True`.
    """

    def __init__(self, client: Client, seed: int | None) -> None:
        self._client, self._seed = client, seed
        self._added: list[Fault] = []

    def add(
        self,
        kind: FaultKind,
        *,
        may_not_fire: bool = False,
        side: FaultSide | None = None,
        name: str | None = None,
        webhook: object = None,
        account: str | None = None,
        method: Method | None = None,
        path: str | None = None,
        probability: float | None = None,
        times: int | None = None,
        nth: int | Sequence[int] | None = None,
        ttl: float | str | None = None,
        seed: int | None = None,
        **parameters: Any,
    ) -> Fault:
        """Add a fault of a kind, with its parameters, and return it.

        `webhook`, `account`, `method` and `path` limit it, `side` says `delivery`, `api` or `task`
        where these don't. It fires always, or with a `probability`, for the `nth` requests, or
        `times` times at most; `after` skips the first requests (of an outage it is a parameter, as
        is `for_`).
        """
        values = {key.rstrip("_"): value for key, value in parameters.items()}
        after = None if kind == "outage" else values.pop("after", None)
        body = {
            "kind": kind,
            "side": side,
            "name": name,
            "account": account,
            "method": method,
            "webhook": None if webhook is None else str(webhook),
            "path": path,
            "probability": probability,
            "times": times,
            "ttl": ttl,
            "after": after,
            "nth": [nth] if isinstance(nth, int) else nth,
            "seed": self._seed if seed is None else seed,
            "parameters": values,
        }
        given = {key: value for key, value in body.items() if value is not None}
        fault = Fault(self._client, self._client.post(_PATH, given), may_not_fire)
        self._added.append(fault)
        return fault

    def clear(self) -> None:
        """Clear all faults, which also sends what they hold."""
        self._remember(self._client.delete(_PATH)["faults"])
        for fault in self._added:
            fault.is_cleared = True

    def remember(self) -> None:
        """Read the counts, which a restore removes."""
        if any(not fault.is_cleared for fault in self._added):
            self._remember(self._client.get(_PATH)["faults"])

    def never_fired(self) -> list[Fault]:
        """Return the faults that never fired and should have."""
        self.remember()
        added, self._added = self._added, []
        return [fault for fault in added if not fault.data["fired"] and not fault.may_not_fire]

    def _remember(self, rows: Iterable[Mapping[str, Any]]) -> None:
        by_id = {row["id"]: dict(row) for row in rows}
        for fault in self._added:
            fault.data = by_id.get(fault.id, fault.data)


def void(faults: Sequence[Fault]) -> str:
    """Return the text of a test whose faults never fired."""
    count = f"{len(faults)} faults" if len(faults) > 1 else "A fault"
    lines = [f"  {fault.describe()}" for fault in faults]
    return "\n".join(
        [
            f"{count} never fired, so this test has not tested what it is for:",
            *lines,
            "Make the requests that it is for, or add it with may_not_fire=True.",
        ]
    )


def _times(count: int) -> str:
    return "no request" if not count else f"{count} request{'s' if count > 1 else ''}"
