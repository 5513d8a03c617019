"""The lease of a shared sandbox: the exclusive use of it for one test, renewed meanwhile."""

from __future__ import annotations

import threading

from pytest_connect_sim.client import ApiError, Client, Unreachable, segment
from pytest_connect_sim.server import SandboxError

TTL = 30.0  # seconds after which the lease of a killed worker expires
_WAIT = 30.0  # seconds of one request
_LOST = 404


class Lease:
    """Takes the lease as a context manager; a thread renews it until the end."""

    def __init__(self, client: Client, note: str, timeout: float, ttl: float = TTL) -> None:
        self._client, self._note, self._timeout, self._ttl = client, note, timeout, ttl
        self._id = ""
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.error = ""

    def __enter__(self) -> Lease:
        self._id = self._take()
        self._thread = threading.Thread(target=self._renew, name="connect-sim-lease", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        if self._thread:
            self._thread.join()
        try:
            self._client.delete(self._path)
        except ApiError as error:
            if error.status != _LOST:
                raise
            self.error = self.error or "The lease of the sandbox has expired during the test."

    def check(self) -> None:
        """Raise SandboxError if the lease was lost: another test may have used the sandbox."""
        if self.error:
            raise SandboxError(self.error)

    @property
    def _path(self) -> str:
        return f"/sandbox/lease/{segment(self._id)}"

    def _take(self) -> str:
        """Wait for the lease, in several requests; raises SandboxError."""
        left = self._timeout
        while True:
            seconds = min(left, _WAIT)
            body = {"ttl": self._ttl, "note": self._note[:200], "wait": seconds}
            try:
                taken = self._client.call("POST", "/sandbox/lease", body, timeout=seconds + 30)
                return str(taken["id"])
            except ApiError as error:
                left -= seconds
                if error.error_code != "LSE_001" or left <= 0:
                    raise SandboxError(f"The sandbox cannot be used: {error}") from None

    def _renew(self) -> None:
        while not self._ended.wait(self._ttl / 3):
            try:
                self._client.put(self._path, {"ttl": self._ttl})
            except ApiError as error:
                if error.status == _LOST:
                    self.error = "The lease of the sandbox has expired during the test."
                    return
            except Unreachable:
                # It is tried again; the next call of the test reports it.
                continue
