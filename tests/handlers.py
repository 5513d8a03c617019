"""A real webhook handler on loopback whose answers a test decides, one call at a time."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Got:
    """One call that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def token(self) -> str:
        return self.headers["Authentication"].removeprefix("Bearer ")


# Status, or status and body, or None: hold the call until `release`.
Answer = int | tuple[int, bytes] | None


@dataclass
class Handler:
    """The server: `calls` arrive in a queue, `answer` says what each gets."""

    url: str = ""
    answer: Callable[[Got], Answer] = lambda got: 200
    calls: queue.Queue[Got] = field(default_factory=queue.Queue)
    release: threading.Event = field(default_factory=threading.Event)
    seen: list[Got] = field(default_factory=list)

    def next(self, timeout: float = 10) -> Got:
        """Wait for the next call."""
        return self.calls.get(timeout=timeout)


@contextmanager
def handler(answer: Callable[[Got], Answer] | Answer = 200) -> Iterator[Handler]:
    """Run a handler; `answer` is a status for all calls, or a function of the call."""
    state = Handler()
    state.answer = answer if callable(answer) else lambda got: answer

    class Serve(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            pass

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            got = Got(self.command, self.path, dict(self.headers), body)
            state.seen.append(got)
            state.calls.put(got)
            found = state.answer(got)
            if found is None:
                state.release.wait(60)
                found = 200
            status, said = found if isinstance(found, tuple) else (found, b'{"ok": true}')
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)
            except OSError:
                pass  # the caller gave up, as some tests want

        do_GET = do_POST = _serve

    server = ThreadingHTTPServer(("127.0.0.1", 0), Serve)
    server.daemon_threads = True
    # Tests wait for the engine rather than for connections that it keeps open.
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}/"
    try:
        yield state
    finally:
        state.release.set()
        server.shutdown()
        server.server_close()
