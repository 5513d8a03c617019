"""A server on loopback that keeps the bytes of requests, and responds with given bytes."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from types import TracebackType
from typing import Self


class ScriptedServer:
    """Responds to each request with `response`; with a reset connection where that is None.

    A request ends when its body is complete. If it `hangs`, nothing is sent until the end.
    """

    def __init__(self) -> None:
        self.response: bytes | None = b""
        self.hangs = False
        self.received: list[bytes] = []
        self.connections = 0
        self._ended = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            with connection, contextlib.suppress(ConnectionError):
                while request := _read_request(connection):
                    self.received.append(request)
                    if self.hangs:
                        self._ended.wait()
                    if not self._respond(connection):
                        break

    def _respond(self, connection: socket.socket) -> bool:
        """Send the response; return whether the connection stays open."""
        if self.response is None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        connection.sendall(self.response)
        return self.response.endswith(b"\r\n\r\nok") and b"Content-Length: 2\r\n" in self.response


def _read_request(connection: socket.socket) -> bytes:
    data = b""
    while not _is_complete(data):
        part = connection.recv(65536)
        if not part:
            return b""
        data += part
    return data


def _is_complete(data: bytes) -> bool:
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator:
        return False
    if b"Transfer-Encoding: chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    length = head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]
    return len(body) >= int(length or 0)
