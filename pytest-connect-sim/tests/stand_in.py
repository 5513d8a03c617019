"""A stand-in for `connect-sim sandbox`: answers from a JSON file, `{"POST /path": [status, body]}`.

A body that is a text is sent as it is, as a file. Takes the options that the plugin passes, and
appends what it is sent to requests.jsonl.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

VENDOR, PROVIDER = "SU-111-111-111:vendor", "SU-222-222-222:provider"
ANSWERS: dict[str, Any] = {
    "GET /sandbox/cursor": [200, {"cursor": "0.1"}],
    "GET /sandbox/version": [200, {"version": "0.1.0"}],
    "POST /sandbox/reset": [200, {"now": "", "took_ms": 1, "unsettled": [], "cursor": "0.1"}],
    "GET /sandbox/timeline": [200, {"entries": [], "cursor": "0.1"}],
    "GET /sandbox/deliveries": [200, {"deliveries": []}],
    "GET /sandbox/api-calls": [200, {"calls": [], "cursor": "0.1"}],
    "POST /sandbox/trace-file": [200, "a trace"],
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"null")
        call = f"{self.command} {self.path.partition('?')[0]}"
        with (FOLDER / "requests.jsonl").open("a") as file:
            file.write(json.dumps({"call": call, "body": body}) + "\n")
        status, content = ANSWERS.get(call, [404, {"error_code": "NFND_000", "errors": [call]}])
        data = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        print(f"served {call} with {VENDOR}", flush=True)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, format: str, *args: Any) -> None:
        pass


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("answers", type=Path)
    parser.add_argument("--port", type=int)
    parser.add_argument("--port-file", type=Path)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--exit-with-parent", action="store_true")
    options = parser.parse_args()
    FOLDER = options.answers.parent
    ANSWERS.update(json.loads(options.answers.read_text()))
    print("Starting, sign in at /sign-in/UR-1/secret-link", flush=True)
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    keys = {"url": "", "vendor_api_key": VENDOR, "provider_api_key": PROVIDER}
    (options.data_dir / "sandbox.json").write_text(json.dumps(keys))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    draft = options.port_file.with_suffix(".draft")
    draft.write_text(f"{server.server_port}\n")
    draft.replace(options.port_file)
    sys.stdin.read()
