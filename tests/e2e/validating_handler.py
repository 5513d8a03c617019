"""A validator's handler as a separate process, controlled by rules.

It needs Python and PyJWT. Tests set the rules of its paths by `POST /rules`, read the calls by
`GET /received` (of the objects and webhooks in the query, or all), and release the calls that it
holds by `POST /release`.
"""

from __future__ import annotations

import argparse
import base64
import copy
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt

Json = dict[str, Any]


class Server(ThreadingHTTPServer):
    """The server and its rules."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, secret: str) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.secret = secret
        self.rules: Json = {}
        self.received: list[Json] = []
        self.release = threading.Event()
        self.guard = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    """Record a request, and respond by the rule of its path."""

    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        """Return the received calls, of the objects and webhooks in the query or all."""
        query = self.path.partition("?")[2]
        with self.server.guard:
            rows = [
                call
                for call in self.server.received
                if not query or call["of"] & {*query.split("&")}
            ]
        shown = [{k: v for k, v in call.items() if k != "of"} for call in rows]
        self._send(200, json.dumps(shown).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/rules":
            with self.server.guard:
                self.server.rules = json.loads(body)
            self._send(200, b"{}")
        elif self.path == "/release":
            with self.server.guard:
                held, self.server.release = self.server.release, threading.Event()
            held.set()
            self._send(200, b"{}")
        else:
            self._judge(body)

    def _judge(self, body: bytes) -> None:
        claims, refused = self._claims()
        call: Json = {
            "path": self.path,
            "method": self.command,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "content_type": self.headers.get("Content-Type"),
            "claims": claims,
            "refused": refused,
            "body": json.loads(body) if body else None,
        }
        call["of"] = {(call["body"] or {}).get("id"), (claims or {}).get("webhook_id")}
        with self.server.guard:
            rule = self.server.rules.get(self.path, {})
            held = self.server.release
            self.server.received.append(call)
        if refused:
            self._send(401, json.dumps({"error": refused}).encode())
            return
        if rule.get("hold"):
            held.wait(60)
        status, body = rule.get("status", 200), _response_body(rule, call["body"])
        self._send(status, body, rule.get("headers", {}))

    def _claims(self) -> tuple[Json | None, str]:
        """Return the claims of the token, or why it is invalid."""
        scheme, _, token = (self.headers.get("Authentication") or "").partition(" ")
        if scheme != "Bearer":
            return None, "no token"
        options = {"require": ["exp"]}
        try:
            return jwt.decode(token, self.server.secret, algorithms=["HS256"], options=options), ""
        except jwt.InvalidTokenError as error:
            return None, str(error)

    def _send(self, status: int, body: bytes, headers: Json | None = None) -> None:
        try:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            pass  # The caller has disconnected.


def _response_body(rule: Json, body: Json | None) -> bytes:
    """Return the body of the response: raw bytes, any JSON, or the request with edits."""
    if "base64" in rule:
        return base64.b64decode(rule["base64"])
    if "json" in rule:
        return json.dumps(rule["json"]).encode()
    response = copy.deepcopy(body or {})
    place = response.get("asset", response)
    params = place.get("params", [])
    for param in params:
        _edit(param, rule)
    if rule.get("minimal"):
        edited = [p for p in params if p["id"] in rule.get("params", {})]
        if "asset" in response:
            small = {"id": place["id"], "params": edited}
            response = {"id": response["id"], "asset": small}
        else:
            response = {"id": response["id"], "params": edited}
    else:
        params.extend(rule.get("extra", []))
    for dotted, value in rule.get("also", {}).items():
        _set(response, dotted.split("."), value)
    return json.dumps(response).encode()


def _edit(param: Json, rule: Json) -> None:
    edits = dict(rule.get("params", {}).get(param["id"], {}))
    param["constraints"].update(edits.pop("constraints", {}))
    param.update(edits)
    if param["id"] in rule.get("wrong", {}):
        value, error = rule["wrong"][param["id"]]
        param["value_error"] = error if param["value"] == value else ""


def _set(node: Any, keys: list[str], value: Any) -> None:
    *way, last = [int(key) if key.isdigit() else key for key in keys]
    for key in way:
        node = node[key]
    node[last] = value


def main() -> None:
    """Serve until the process is terminated; print the URL first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--rules", type=json.loads, default={})
    options = parser.parse_args()
    server = Server(options.port, options.secret)
    server.rules = options.rules
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
