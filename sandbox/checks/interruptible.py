"""Calls of a sandbox that fail once the run is interrupted, so that its checks end."""

from __future__ import annotations

import threading

from sandbox.client import ApiError, Client


class InterruptibleClient(Client):
    """A client whose calls raise ApiError after the event has been set."""

    def __init__(self, base: str, key: str, interrupted: threading.Event) -> None:
        super().__init__(base, key)
        self._interrupted = interrupted

    def _send(
        self, method: str, path: str, body: bytes | None, timeout: float, content_type: str
    ) -> tuple[int, str, bytes]:
        if self._interrupted.is_set():
            raise ApiError("The run was interrupted.")
        return super()._send(method, path, body, timeout, content_type)
