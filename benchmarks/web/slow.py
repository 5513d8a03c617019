"""Connections whose heads come byte by byte; what the server closes is opened again."""

from __future__ import annotations

import resource
import socket
import threading
import time

from benchmarks.pipes import serve

_lines: list[socket.socket] = []
_stop = threading.Event()
_reopened = [0]
_sent = [0]


def begin(port: int, connections: int, rate: int) -> int:
    """Open the connections, and send `rate` bytes a second over all of them in turn."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for _ in range(connections):
        _lines.append(_connect(port))
    threading.Thread(target=_drip, args=(port, rate), daemon=True).start()
    return len(_lines)


def end() -> dict[str, int]:
    """Close all, and return how many bytes were sent and how often one was opened again."""
    _stop.set()
    for line in _lines:
        line.close()
    return {"sent": _sent[0], "reopened": _reopened[0]}


def _connect(port: int) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", port), timeout=30)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
    line.setblocking(False)
    return line


def _drip(port: int, rate: int) -> None:
    began = time.monotonic()
    while not _stop.is_set():
        for n in range(len(_lines)):
            if _stop.is_set():
                return
            time.sleep(max(0.0, began + _sent[0] / rate - time.monotonic()))
            try:
                _lines[n].send(b"x")
            except BlockingIOError:
                pass
            except OSError:
                if _stop.is_set():
                    return
                _lines[n].close()
                _lines[n] = _connect(port)
                _reopened[0] += 1
            _sent[0] += 1


if __name__ == "__main__":
    serve({"begin": begin, "end": end})
