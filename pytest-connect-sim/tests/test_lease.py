"""The lease of a shared sandbox."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pytest_connect_sim.client import ApiError
from pytest_connect_sim.lease import Lease
from pytest_connect_sim.server import SandboxError


class Sandbox:
    """Answers as `/sandbox/lease`, and records the calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.renewed = threading.Event()
        self.is_taken = self.is_lost = False

    def call(self, method: str, path: str, body: Any, timeout: float) -> Any:
        self.calls.append((path, body))
        if self.is_taken:
            raise _refusal(409, "LSE_001", "The sandbox is leased by worker gw1.")
        return {"id": "LSE-1"}

    def put(self, path: str, body: Any) -> None:
        self.calls.append((path, body))
        self.renewed.set()
        if self.is_lost:
            raise _refusal(404, "NFND_000", "Object not found.")

    def delete(self, path: str) -> None:
        self.calls.append((path, None))
        if self.is_lost:
            raise _refusal(404, "NFND_000", "Object not found.")


def _refusal(status: int, code: str, text: str) -> ApiError:
    return ApiError("", "", status, {"error_code": code, "errors": [text]}, "")


def lease(sandbox: Any, **options: Any) -> Lease:
    return Lease(sandbox, "a test", **{"timeout": 5, **options})


def test_lease_is_taken_renewed_and_released() -> None:
    sandbox = Sandbox()
    with lease(sandbox, ttl=0.03) as held:
        assert sandbox.renewed.wait(5)
    held.check()
    paths = [path for path, _ in sandbox.calls]
    assert paths[0] == "/sandbox/lease" and set(paths[1:]) == {"/sandbox/lease/LSE-1"}
    assert sandbox.calls[0][1] == {"ttl": 0.03, "note": "a test", "wait": 5}
    assert sandbox.calls[-1][1] is None


def test_lease_that_expired_during_the_test_is_an_error() -> None:
    sandbox = Sandbox()
    with lease(sandbox, ttl=0.03) as held:
        sandbox.is_lost = True
        assert sandbox.renewed.wait(5)
    with pytest.raises(SandboxError, match="has expired during the test"):
        held.check()


def test_sandbox_that_stays_taken_is_an_error_that_names_its_user() -> None:
    sandbox = Sandbox()
    sandbox.is_taken = True
    with pytest.raises(SandboxError, match="leased by worker gw1"), lease(sandbox, timeout=70):
        pass
    assert [body["wait"] for _, body in sandbox.calls] == [30, 30, 10]
