"""A handler without defects. Each variant overrides a method, and is broken there.

It needs the standard library and PyJWT, so that it starts in a tenth of a second.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from threading import Condition, Lock, Thread
from typing import Any

import jwt

from tests.checks.handlers.api import Api, ApiError
from tests.checks.handlers.web import Call, Connection, Response, Server

Json = dict[str, Any]
FREE_MAIL = ("gmail.com", "outlook.com", "yahoo.com")


class Handler:
    """Approve pending orders of a product, and validate drafts."""

    patience = 3.0  # seconds until a call is answered, although its work goes on
    longest_pause = 60.0  # seconds between two runs while they fail
    page = 100
    connection: type[Connection] = Connection
    server: type[Server] = Server

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.secret, self.key = environ["JWT_SECRET"], environ["CONNECT_API_KEY"]
        self.api_url, self.product_id = environ.get("CONNECT_API_URL"), environ.get("PRODUCT_ID")
        self.host, self.port = environ.get("HOST", "127.0.0.1"), int(environ.get("PORT", 9000))
        self.workers: dict[str, Worker] = {}
        self.workers_lock = Lock()

    def serve(self) -> None:
        """Listen, and process what is pending."""
        server = self.server((self.host, self.port), self.connection)
        server.handler = self
        print(f"Listening at http://{self.host}:{server.server_port}/", flush=True)
        self.process_at_start()
        server.serve_forever()

    def process_at_start(self) -> None:
        if self.api_url and self.product_id:
            self.worker(self.product_id).process(self.api_url, patience=0)

    # A call

    def respond(self, call: Call) -> Response:
        """Return the response to a call."""
        try:
            claims = self.authenticate(call)
        except jwt.InvalidTokenError:
            return Response(401)
        order = self.read_order(call.body)
        if order is not None:
            return Response(200, self.validate(order))
        return self.queue_changed(call, claims)

    def read_order(self, body: bytes) -> Json | None:
        """Return the order in the body of a validator's call; None for a queue change."""
        try:
            content = json.loads(body)
        except ValueError:
            return None
        is_order = isinstance(content, dict) and isinstance(content.get("asset"), dict)
        return content if is_order else None

    def queue_changed(self, call: Call, claims: Json) -> Response:
        product = self.product_of(call, claims)
        if self.product_id and product != self.product_id:
            return Response(403)
        return Response(200 if self.process(product, claims) else 500)

    def product_of(self, call: Call, claims: Json) -> str:
        return str(claims["product_id"])

    def process(self, product: str, claims: Json) -> bool:
        """Process the product's orders; return whether that succeeds, as far as it is known."""
        api_url = self.api_url or claims["api_url"]
        return self.worker(product).process(api_url, self.patience)

    def worker(self, product: str) -> Worker:
        with self.workers_lock:
            if product not in self.workers:
                self.workers[product] = Worker(self, product)
                self.workers[product].start()
            return self.workers[product]

    # The token

    def authenticate(self, call: Call) -> Json:
        """Return the claims of a call's token; raises jwt.InvalidTokenError."""
        return self.verify(self.token_in(self.header_of(call)))

    def header_of(self, call: Call) -> str:
        return str(call.headers.get("Authentication", call.headers.get("Authorization", "")))

    def token_in(self, header: str) -> str:
        scheme, _, token = header.partition(" ")
        if scheme != "Bearer":
            raise jwt.InvalidTokenError("no token")
        return token.strip()

    def verify(self, token: str) -> Json:
        """Return the claims of a valid token; raises jwt.InvalidTokenError."""
        options = {"require": ["exp", "api_url", "product_id"], "verify_aud": False}
        claims = jwt.decode(token, self.secret, ["HS256"], options=options)
        if type(claims["exp"]) is not int:
            raise jwt.InvalidTokenError("exp is not an integer")
        return claims

    # The orders of a product

    def approve_pending(self, api: Api, product: str) -> None:
        """Approve all pending orders; raises ApiError."""
        orders = self.find_pending(api, product)
        template = self.find_template(api, product) if orders else ""
        refused = None
        for id in orders:
            try:
                self.approve(api, id, template)
            except ApiError as error:
                if not error.is_refusal:
                    raise
                refused = error
        if refused:
            raise refused

    def find_template(self, api: Api, product: str) -> str:
        query = "and(eq(scope,asset),eq(type,fulfillment))&limit=1"
        return str(api.get(f"/products/{product}/templates?{query}")[0]["id"])

    def find_pending(self, api: Api, product: str) -> list[str]:
        """Return the ids of all pending orders."""
        return [order["id"] for page in self.read_pages(api, product) for order in page]

    def read_pages(self, api: Api, product: str) -> Iterable[list[Json]]:
        offset = 0
        while True:
            page = api.get(f"/requests?{self.query(product)}&limit={self.page}&offset={offset}")
            yield page
            offset += len(page)
            if len(page) < self.page:
                return

    def query(self, product: str) -> str:
        return f"and(eq(status,pending),eq(asset.product.id,{product}))&ordering(created,id)"

    def approve(self, api: Api, id: str, template: str) -> None:
        order = api.get(f"/requests/{id}")
        if order["status"] != "pending":
            return
        try:
            self.fill(api, order)
            self.send_approval(api, id, template)
        except ApiError as error:
            if not error.is_refusal or api.get(f"/requests/{id}")["status"] == "pending":
                raise

    def fill(self, api: Api, order: Json) -> None:
        """Give values to required parameters that have none."""
        params = [{"id": name, "value": self.value(order, name)} for name in self.empty(order)]
        if params:
            api.put(f"/requests/{order['id']}", {"asset": {"params": params}})

    def required(self, order: Json) -> list[Json]:
        """Return the parameters that an approval needs."""
        params = order["asset"]["params"]
        return [p for p in params if p["phase"] == "fulfillment" and p["constraints"]["required"]]

    def empty(self, order: Json) -> list[str]:
        return [param["id"] for param in self.required(order) if not param["value"]]

    def value(self, order: Json, name: str) -> str:
        return f"{name}-{order['id']}"

    def send_approval(self, api: Api, id: str, template: str) -> None:
        api.post(f"/requests/{id}/approve", {"template_id": template})

    def failed(self, error: Exception) -> None:
        """Do something about a failed run, which is repeated."""
        print(repr(error), flush=True)

    def pause(self, failures: int) -> float:
        """Return the seconds until the next run after a number of failures in a row."""
        return min(0.125 * 2.0 ** min(failures, 10), self.longest_pause)

    # Validation

    def validate(self, order: Json) -> Json:
        """Set or clear the errors of an order, and return it."""
        for param in order["asset"].get("params") or []:
            self.validate_param(param)
        return order

    def validate_param(self, param: Json) -> None:
        if param["id"] in ("domain", "customer_domain"):
            is_free = param.get("value") in FREE_MAIL
            param["value_error"] = "Take a domain of your own." if is_free else ""


class Worker(Thread):
    """Processes the orders of a product: one run at a time, and again until a run succeeds.

    A call that arrives during a run needs another one, since that run may have read the orders
    already; several calls share it.
    """

    def __init__(self, handler: Handler, product: str) -> None:
        super().__init__(daemon=True)
        self.handler, self.product, self.api_url = handler, product, ""
        self.calls = self.finished = 0
        self.fails = False
        self.changed = Condition()

    def process(self, api_url: str, patience: float) -> bool:
        """Ask for a run; return whether it has succeeded, or takes longer without a failure."""
        with self.changed:
            self.api_url = api_url
            self.calls += 1
            call = self.calls
            self.changed.notify_all()
            return self.changed.wait_for(lambda: self.finished >= call, patience) or not self.fails

    def run(self) -> None:
        failures = 0
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.finished < self.calls)
                calls, api = self.calls, Api(self.api_url, self.handler.key)
            try:
                self.handler.approve_pending(api, self.product)
                failures = 0
                with self.changed:
                    self.finished, self.fails = calls, False
                    self.changed.notify_all()
            except Exception as error:  # an error of a variant, too, must not end the thread
                self.fails = True
                failures += 1
                self.handler.failed(error)
                self.wait(failures, calls, getattr(error, "retry_after", 0))

    def wait(self, failures: int, calls: int, at_least: int) -> None:
        """Wait after a failure. A new call ends the pause, but not in the first second."""
        longest = self.handler.pause(failures)
        shortest = max(at_least, min(longest, 1))
        time.sleep(shortest)
        with self.changed:
            self.changed.wait_for(lambda: self.calls > calls, max(longest - shortest, 0))
