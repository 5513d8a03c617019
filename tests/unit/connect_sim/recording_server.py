"""A server that records the requests of commands, and answers as a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from checks import sandbox_file

Answer = tuple[int, Any]


@dataclass
class Server:
    """An HTTP server that records requests and answers as a test says."""

    url: str = ""
    answer: Callable[[str, str, Any], Answer] = lambda method, path, body: (200, {})
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()

    class Serve(BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

        def _serve(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            is_json = "json" in (self.headers.get("Content-Type") or "")
            body = json.loads(data) if data and is_json else data or None
            server.requests.append((self.command, self.path, body))
            server.headers.append(dict(self.headers))
            status, content = server.answer(self.command, self.path, body)
            text = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = do_DELETE = _serve

    http = ThreadingHTTPServer(("127.0.0.1", 0), Serve)
    http.daemon_threads, http.block_on_close = True, False
    threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()


def write(folder: Path, url: str, local_url: str = "", machine: str = "") -> None:
    keys = ("SU-1:vendor", "SU-2:provider")
    sandbox_file.write(folder, sandbox_file.Sandbox(url, *keys, local_url, machine))
