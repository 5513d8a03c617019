"""A runner for tests: it speaks version 2 of the protocol, through the real web server.

It imports no Django: benchmarks use it, too.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

Json = dict[str, Any]
PURCHASE = "asset_purchase_request_processing"
WAIT = 20.0  # seconds for a frame that comes


@dataclass
class Runner:
    """One connection of a runner."""

    connection: ClientConnection

    def send(self, kind: str, data: Any, version: int = 2) -> None:
        """Send a message."""
        message = {"version": version, "message_type": kind, "data": data}
        self.connection.send(json.dumps(message))

    def set_up(self, events: Json | None = None, **more: Any) -> Json:
        """Declare events, by default pending purchases, and return the setup response."""
        declared = {PURCHASE: ["pending"]} if events is None else events
        self.send("setup_request", {"event_subscriptions": declared, **more})
        return self.receive("setup_response")

    def receive(self, kind: str = "task", wait: float = WAIT) -> Json:
        """Return the data of the next message; raises TimeoutError after `wait` seconds."""
        message = json.loads(self.connection.recv(wait))
        assert (message["version"], message["message_type"]) == (2, kind)
        data: Json = message["data"]
        assert data.pop("model_type") == kind
        return data

    def answer(self, task: Json, result: str = "success", **output: Any) -> None:
        """Send the result of a task."""
        self.send("task", {**task, "output": {"result": result, "runtime": 0.5, **output}})

    def closed(self) -> tuple[int, str]:
        """Read until the server closes the connection; return its code and reason."""
        try:
            while True:
                self.connection.recv(WAIT)
        except ConnectionClosed as error:
            assert error.rcvd is not None
            return error.rcvd.code, error.rcvd.reason

    def kill(self) -> None:
        """End without a word, as a process that is killed."""
        line: socket.socket = self.connection.socket
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line.shutdown(socket.SHUT_RDWR)
        line.close()


@contextmanager
def runner(
    url: str,
    key: str | None,
    environment: str,
    uid: str = "one",
    kind: str = "background",
    *,
    running: int = 0,
    tls: SSLContext | None = None,
) -> Iterator[Runner]:
    """Connect to the gateway of a web server (`http://…` or `https://…`)."""
    query = f"running_tasks={running}&running_scheduled_tasks=0&runner_type={kind}"
    address = f"{url.replace('http', 'ws', 1)}/public/v1/devops/ws/{environment}/{uid}?{query}"
    headers = {} if key is None else {"Authorization": f"ApiKey {key}"}
    with connect(
        address, additional_headers=headers, ssl=tls, max_size=2**21, proxy=None
    ) as connection:
        yield Runner(connection)
