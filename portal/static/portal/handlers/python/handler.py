"""A Connect webhook handler: approves pending orders of a product, and validates drafts.

It needs Python 3.9 or newer, and no package. Change `approve` and `validate` to what yours does.
"""

import base64
import hmac
import json
import os
import sys
import time
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Lock, Thread
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import HTTPRedirectHandler, Request, build_opener

API_KEY, JWT_SECRET = os.environ.get("CONNECT_API_KEY"), os.environ.get("JWT_SECRET")
if not (API_KEY and JWT_SECRET):
    sys.exit("Set CONNECT_API_KEY and JWT_SECRET.")
# Optional: with both, what is already pending is processed at the start, too.
API_URL, PRODUCT_ID = os.environ.get("CONNECT_API_URL"), os.environ.get("PRODUCT_ID")
PATIENCE = 3  # Seconds until a call is answered, although its work goes on.
LONGEST_PAUSE = 60  # Seconds between two runs while they fail.
API_TIMEOUT = 30
PAGE = 100
MAX_BODY = 10 * 1024 * 1024
FREE_MAIL = ("gmail.com", "outlook.com", "yahoo.com")


def approve_pending(api, product_id):
    # Read all pages first: approving while paging through them would skip some.
    orders = read_pending(api, product_id)
    template = find_template(api, product_id) if orders else None
    refused = None
    for order_id in orders:
        try:
            approve(api, order_id, template)
        except ApiError as error:
            if not error.is_refusal:
                raise
            refused = error  # The other orders don't have to wait for this one.
    if refused:
        raise refused


def approve(api, order_id, template):
    # Your work goes here. The order's "type" says which: a purchase, a change and so on.
    path = f"/requests/{order_id}"
    order = api.call("GET", path)
    if order["status"] != "pending":
        return  # Somebody has processed it since the list was read.
    # Only empty parameters get a value, and it is the same in a second run. Connect keeps an error
    # when the value changes: an empty value_error clears it.
    params = [
        {"id": param["id"], "value": f"{param['id']}-{order_id}", "value_error": ""}
        for param in order["asset"]["params"]
        if param["phase"] == "fulfillment"
        and param["constraints"]["required"]
        and not param["value"]
    ]
    try:
        if params:
            api.call("PUT", path, {"asset": {"params": params}})
        api.call("POST", f"{path}/approve", {"template_id": template} if template else {})
    except ApiError as error:
        if not error.is_refusal or api.call("GET", path)["status"] == "pending":
            raise
    else:
        print("approved", order_id, flush=True)


def validate(order):
    """Set or clear the errors of a draft, and return it. The rules are for the demo products."""
    params = {param["id"]: param for param in order["asset"].get("params") or []}
    value = {name: param.get("value") for name, param in params.items()}
    advanced = value.get("edition") == "advanced"
    own_domain = "Take a domain of your own."
    wrong = {
        "domain": value.get("domain") in FREE_MAIL and own_domain,
        "customer_domain": value.get("customer_domain") in FREE_MAIL and own_domain,
        "data_region": value.get("data_region") == "uk"
        and not advanced
        and "Advanced edition only.",
        "siem_url": advanced and not value.get("siem_url") and "Where do alerts go?",
    }
    for name in wrong.keys() & params.keys():  # The others are not ours.
        params[name]["value_error"] = wrong[name] or ""
    if "siem_url" in params:
        params["siem_url"].setdefault("constraints", {})["required"] = advanced
    return order


def read_pending(api, product_id):
    """Return the ids of all pending orders of a product, the oldest first."""
    query = f"and(eq(status,pending),eq(asset.product.id,{product_id}))&ordering(created,id)"
    ids = []
    while True:
        page = api.call("GET", f"/requests?{query}&limit={PAGE}&offset={len(ids)}")
        ids += [order["id"] for order in page]
        if len(page) < PAGE:
            return ids


def find_template(api, product_id):
    query = "and(eq(scope,asset),eq(type,fulfillment))&limit=1"
    templates = api.call("GET", f"/products/{product_id}/templates?{query}")
    return templates[0]["id"] if templates else None


class ApiError(Exception):
    """The API refuses or fails, or there is no response (status 0)."""

    def __init__(self, text, status=0, retry_after=""):
        super().__init__(text)
        self.retry_after = int(retry_after) if retry_after.isdecimal() else 0  # Seconds.
        # Not an API that fails, or that gets too many requests.
        self.is_refusal = 400 <= status < 500 and status != 429


class NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_):
        """Follow none, which would send the key to another address: it is a failure."""


class Api:
    def __init__(self, url):
        self.url = url
        self.open = build_opener(NoRedirects).open

    def call(self, method, path, body=None):
        """Call the API, and return its response; raises ApiError."""
        headers = {"Authorization": API_KEY, "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        url = self.url + quote(path, safe="/?&=(),")
        try:
            request = Request(url, data, headers, method=method)
            with self.open(request, timeout=API_TIMEOUT) as response:
                return json.load(response)
        except HTTPError as error:
            text = f"{method} {path}: {error.code} {error.read(1000).decode(errors='replace')}"
            raise ApiError(text, error.code, error.headers.get("Retry-After", "")) from None
        except (OSError, HTTPException, ValueError) as error:
            raise ApiError(f"{method} {path}: {error}") from None


class Worker(Thread):
    """Processes the orders of a product: one run at a time, and again until a run succeeds.

    Calls overlap, because each approval is a queue change too. A call that arrives during a run
    needs another one, since that run may have read the orders already; several calls share it.
    """

    def __init__(self, product_id):
        super().__init__(daemon=True)
        self.product_id = product_id
        self.api = None
        self.calls = self.finished = 0  # `finished`: the calls whose run has succeeded.
        self.fails = False
        self.changed = Condition()

    def process(self, api_url, patience=PATIENCE):
        """Ask for a run; return whether it has succeeded, or takes longer without a failure."""
        with self.changed:
            self.api = Api(api_url)
            self.calls += 1
            call = self.calls
            self.changed.notify_all()
            return self.changed.wait_for(lambda: self.finished >= call, patience) or not self.fails

    def run(self):
        failures = 0
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.finished < self.calls)
                calls, api = self.calls, self.api
            try:
                approve_pending(api, self.product_id)
                failures = 0
                with self.changed:
                    self.finished, self.fails = calls, False
                    self.changed.notify_all()
            except Exception as error:  # An error of this program, too, must not end the thread.
                print(repr(error), flush=True)
                self.fails = True
                failures += 1
                self.pause(failures, calls, getattr(error, "retry_after", 0))

    def pause(self, failures, calls, at_least):
        """Wait longer after each failure; a new call ends the pause after its first second."""
        longest = min(0.25 * 2 ** min(failures, 10), LONGEST_PAUSE)
        shortest = max(at_least, min(longest, 1))
        time.sleep(shortest)
        with self.changed:
            self.changed.wait_for(lambda: self.calls > calls, max(longest - shortest, 0))


WORKERS, WORKERS_LOCK = {}, Lock()


def worker(product_id):
    with WORKERS_LOCK:
        if product_id not in WORKERS:
            WORKERS[product_id] = Worker(product_id)
            WORKERS[product_id].start()
        return WORKERS[product_id]


class InvalidToken(Exception):
    """The request is not one of Connect's."""


def read_token(headers):
    """Return the claims of a request's token; raises InvalidToken."""
    # Connect's documentation names both headers. If both are there, one of them has to count.
    header = headers.get("Authentication", headers.get("Authorization", ""))
    scheme, _, token = header.partition(" ")
    content, _, signature = token.strip().rpartition(".")
    expected = hmac.digest(JWT_SECRET.encode(), content.encode(), "sha256")
    expected = base64.urlsafe_b64encode(expected).rstrip(b"=")
    if scheme != "Bearer" or not hmac.compare_digest(expected, signature.encode()):
        raise InvalidToken("The signature is wrong.")
    try:
        parts = content.split(".")
        head, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in parts)
        is_valid = (
            head["alg"] == "HS256"
            and type(claims["exp"]) is int
            and claims["exp"] > time.time()
            and isinstance(claims["product_id"], str)
            and isinstance(claims["api_url"], str)
        )
    except (ValueError, TypeError, KeyError):
        is_valid = False
    if not is_valid:
        raise InvalidToken("The token has expired, or a claim is missing.")
    return claims


def read_order(body):
    """Return the order in the body of a validator's request; None for a queue change."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and isinstance(content.get("asset"), dict) else None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # Connections are kept open,
    timeout = 60  # for as many seconds.
    wbufsize = -1  # Headers and body are sent together.

    def do_POST(self):
        try:
            body = self.read_body()
            claims = read_token(self.headers)
        except ValueError:
            self.close_connection = True
            return self.respond(400)
        except InvalidToken:
            return self.respond(401)
        product_id = claims["product_id"]
        if PRODUCT_ID and product_id != PRODUCT_ID:
            return self.respond(403)
        order = read_order(body)
        if order:  # A validator receives the order, and returns it with edits.
            return self.respond(200, validate(order))
        # A queue change: trust the claims of the token, which are signed, and not the body.
        succeeds = worker(product_id).process(API_URL or claims["api_url"])
        # After 500 Connect retries, five minutes later at the earliest; the worker retries, too.
        self.respond(200 if succeeds else 500)

    do_GET = do_POST

    def read_body(self):
        """Return the body of the request, which may be chunked; raises ValueError."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.read_exactly(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(100).partition(b";")[0], 16):
            body += self.read_exactly(size, MAX_BODY - len(body))
            self.rfile.readline(100)
        while self.rfile.readline(10_000).strip():
            pass  # Trailers.
        return body

    def read_exactly(self, size, at_most=MAX_BODY):
        if not 0 <= size <= at_most:
            raise ValueError("The body is too large.")
        return self.rfile.read(size)

    def respond(self, status, content=None):
        body = json.dumps(content or {}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    request_queue_size = 128  # Connections that wait until they are accepted.


if __name__ == "__main__":
    # In a container HOST=0.0.0.0, so that other containers can call it.
    host, port = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", 9000))
    server = Server((host, port), Handler)
    print(f"Listening at http://{host}:{server.server_port}/", flush=True)
    if API_URL and PRODUCT_ID:
        # A process that was killed may have left work.
        worker(PRODUCT_ID).process(API_URL, patience=0)
    server.serve_forever()
