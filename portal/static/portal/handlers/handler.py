"""A webhook handler to start from: it approves the pending orders of a product."""

import base64
import hashlib
import hmac
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from urllib.parse import quote
from urllib.request import Request, urlopen

API_URL, API_KEY = os.environ["CONNECT_API_URL"], os.environ["CONNECT_API_KEY"]
SECRET = os.environ["JWT_SECRET"]
# Each approval is a queue change too, so requests overlap: one at a time reads and approves.
approving = Lock()


def read_token(header):
    """Return the claims of a token that the webhook's secret has signed; raises ValueError."""
    parts = header.removeprefix("Bearer ").split(".")
    if len(parts) != 3:
        raise ValueError("There is no token.")
    content, signature = ".".join(parts[:2]), parts[2]
    expected = hmac.digest(SECRET.encode(), content.encode(), hashlib.sha256)
    if not hmac.compare_digest(encode(expected), signature):
        raise ValueError("The signature is wrong.")
    head, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in parts[:2])
    if head["alg"] != "HS256" or claims["exp"] < time.time():
        raise ValueError("The token has expired.")
    return claims


def encode(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def call(method, path, body=None):
    """Call the API and return its response."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": API_KEY, "Content-Type": "application/json"}
    with urlopen(Request(API_URL + path, data, headers, method=method), timeout=30) as response:
        return json.load(response)


def approve_pending(product):
    query = quote(f"and(eq(status,pending),eq(asset.product.id,{product}))", safe="(),")
    for order in call("GET", f"/requests?{query}&limit=1000"):
        # An approval needs the required parameters that the vendor fills in.
        params = [
            {"id": param["id"], "value": f"{param['id']}-{order['id']}"}
            for param in order["asset"]["params"]
            if param["phase"] == "fulfillment"
            and param["constraints"]["required"]
            and not param["value"]
        ]
        if params:
            call("PUT", f"/requests/{order['id']}", {"asset": {"params": params}})
        call("POST", f"/requests/{order['id']}/approve", {})
        print("approved", order["id"], flush=True)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            claims = read_token(self.headers.get("Authentication", ""))
        except (ValueError, KeyError):
            return self.respond(401)
        try:
            with approving:
                approve_pending(claims["product_id"])
        except OSError as error:  # Connect repeats the request, five minutes later at the earliest.
            print(error, flush=True)
            return self.respond(500)
        self.respond(200)

    def respond(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


host, port = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "9000"))
server = ThreadingHTTPServer((host, port), Handler)
print(f"Listening at http://{host}:{server.server_port}/", flush=True)
server.serve_forever()
