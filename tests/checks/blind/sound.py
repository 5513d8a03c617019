"""A handler without a known fault. Each of the others here replaces one part of it."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

import jwt
import requests

PORT, SECRET = int(os.environ["PORT"]), os.environ["JWT_SECRET"]
API_URL, PRODUCT = os.environ["CONNECT_API_URL"], os.environ["PRODUCT_ID"]
PAGE = 100


class Orders:
    """Approves the pending requests of the product."""

    def __init__(self):
        self.lock = Lock()

    def call(self, method, path, content=None):
        response = requests.request(
            method,
            f"{API_URL}{path}",
            json=content,
            headers={"Authorization": os.environ["CONNECT_API_KEY"]},
            timeout=10,
        )
        response.raise_for_status()
        return response.json()

    def pending(self):
        query = f"and(eq(status,pending),eq(asset.product.id,{PRODUCT}))&ordering(created,id)"
        orders, page = [], None
        while page is None or len(page) == PAGE:
            page = self.call("GET", f"/requests?{query}&limit={PAGE}&offset={len(orders)}")
            orders += page
        return orders

    def value(self, param, order):
        return f"{param['id']}-{order['id']}"

    def params(self, order):
        return [
            {"id": param["id"], "value": self.value(param, order)}
            for param in order["asset"]["params"]
            if param["phase"] == "fulfillment"
            and param["constraints"]["required"]
            and not param["value"]
        ]

    def fulfill(self, order_id):
        order = self.call("GET", f"/requests/{order_id}")
        if order["status"] != "pending":
            return
        try:
            if params := self.params(order):
                self.call("PUT", f"/requests/{order_id}", {"asset": {"params": params}})
            self.call("POST", f"/requests/{order_id}/approve", {})
        except requests.HTTPError:
            if self.call("GET", f"/requests/{order_id}")["status"] == "pending":
                raise

    def run(self):
        refused = None
        for order in self.pending():
            try:
                self.fulfill(order["id"])
            except requests.HTTPError as error:
                if error.response.status_code not in (400, 404, 409):
                    raise
                refused = error  # The others don't have to wait for this one.
        if refused:
            raise refused

    def process(self):
        with self.lock:
            self.run()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    wbufsize = -1
    orders = Orders()

    def do_POST(self):
        try:
            self.read_body()
        except ValueError:
            self.close_connection = True
            return self.respond(400)
        self.respond(self.handle_event())

    do_GET = do_POST

    def handle_event(self):
        try:
            claims = self.claims(self.token())
            if type(claims["exp"]) is not int or claims.get("product_id") != PRODUCT:
                return 401
        except jwt.InvalidTokenError:
            return 401
        try:
            self.orders.process()
        except Exception as error:
            print(type(error).__name__, error, flush=True)
            return 500
        return 200

    def token(self):
        header = self.headers.get("Authentication", self.headers.get("Authorization", ""))
        scheme, _, token = header.partition(" ")
        return token.strip() if scheme == "Bearer" else ""

    def claims(self, token):
        return jwt.decode(token, SECRET, ["HS256"], options={"require": ["exp"]})

    def read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(100).partition(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline(100)
        while self.rfile.readline(10_000).strip():
            pass
        return body

    def respond(self, status):
        body = json.dumps({}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128


def serve(handler=Handler):
    server = Server(("127.0.0.1", PORT), handler)
    try:
        handler.orders.process()  # What a killed process has left.
    except Exception as error:
        print(error, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    serve()
