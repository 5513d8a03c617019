"""Clients that send their request heads byte by byte; closed connections are reopened."""

from __future__ import annotations

import resource
import socket
import threading
import time

from benchmarks.processes import serve

_connections: list[socket.socket] = []
_stop = threading.Event()
_reopened = [0]
_sent = [0]


def begin(port: int, connections: int, rate: int) -> int:
    """Open the connections and send `rate` bytes per second over all of them, in turn."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for _ in range(connections):
        _connections.append(_connect(port))
    threading.Thread(target=_send, args=(port, rate), daemon=True).start()
    return len(_connections)


def end() -> dict[str, int]:
    """Close all connections; return the numbers of bytes sent and connections reopened."""
    _stop.set()
    for connection in _connections:
        connection.close()
    return {"sent": _sent[0], "reopened": _reopened[0]}


def _connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
    connection.setblocking(False)
    return connection


def _send(port: int, rate: int) -> None:
    start = time.monotonic()
    while not _stop.is_set():
        for n in range(len(_connections)):
            if _stop.is_set():
                return
            time.sleep(max(0.0, start + _sent[0] / rate - time.monotonic()))
            try:
                _connections[n].send(b"x")
            except BlockingIOError:
                pass
            except OSError:
                if _stop.is_set():
                    return
                _connections[n].close()
                _connections[n] = _connect(port)
                _reopened[0] += 1
            _sent[0] += 1


if __name__ == "__main__":
    serve({"begin": begin, "end": end})
