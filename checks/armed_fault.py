"""A fault of the sandbox that a check has armed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from checks.client import ApiError, Client
from checks.timing import Budget

Json = dict[str, Any]


class ArmedFault:
    """A fault that is armed: how often it fired, and the responses that it holds."""

    def __init__(self, client: Client, row: Mapping[str, Any], budget: Budget) -> None:
        self._client, self._budget = client, budget
        self.id: str = row["id"]

    @property
    def fired(self) -> int:
        """How often it has fired."""
        return int(self._read()["fired"])

    def held(self) -> list[Json]:
        """Return the responses that it holds, the oldest first."""
        return list(self._read()["held"])

    def wait_held(self, count: int, timeout: float) -> int:
        """Wait until it holds so many responses, or until the timeout; return how many it holds."""
        with self._budget.wait(timeout) as seconds:
            path = f"/sandbox/faults/{self.id}?held={count}&timeout={seconds:.3f}"
            return len(self._client.call("GET", path, timeout=seconds + 30)["held"])

    def release(self, count: int | None = None) -> None:
        """Let the oldest held responses go, by default all."""
        body = {} if count is None else {"count": count}
        self._client.call("POST", f"/sandbox/faults/{self.id}/release", body)

    def clear(self) -> None:
        """Disarm it, and let held responses go."""
        try:
            self._client.call("DELETE", f"/sandbox/faults/{self.id}")
        except ApiError as error:
            if error.status != 404:
                raise

    def _read(self) -> Json:
        row: Json = self._client.call("GET", f"/sandbox/faults/{self.id}")
        return row
