"""A Connect webhook handler: approves pending orders of a product, and validates drafts."""

import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Lock, Thread

import jwt
from connect.client import ClientError, ConnectClient, R

API_KEY, JWT_SECRET = os.environ["CONNECT_API_KEY"], os.environ["JWT_SECRET"]
# Optional: with both, what is already pending is processed at the start, too.
API_URL, PRODUCT_ID = os.environ.get("CONNECT_API_URL"), os.environ.get("PRODUCT_ID")
PATIENCE = 3  # Seconds until a call is answered, although its work goes on.
LONGEST_PAUSE = 60  # Seconds between two runs while they fail.
MAX_BODY = 10 * 1024 * 1024
FREE_MAIL = ("gmail.com", "outlook.com", "yahoo.com")


def approve_pending(client, product_id):
    templates = client.products[product_id].templates
    template = templates.filter(scope="asset", type="fulfillment").first()
    pending = R().status.eq("pending") & R().asset.product.id.eq(product_id)
    refused = None
    # Read all pages first: approving while paging through them would skip some.
    for request in list(client.requests.filter(pending).order_by("created", "id")):
        try:
            approve(client.requests[request["id"]], template)
        except ClientError as error:
            if not is_refusal(error):
                raise
            refused = error  # The other orders don't have to wait for this one.
    if refused:
        raise refused


def approve(order, template):
    request = order.get()
    if request["status"] != "pending":
        return  # Somebody has processed it since the list was read.
    # Only empty parameters get a value, and it is the same in a second run.
    params = [
        {"id": param["id"], "value": f"{param['id']}-{request['id']}"}
        for param in request["asset"]["params"]
        if param["phase"] == "fulfillment"
        and param["constraints"]["required"]
        and not param["value"]
    ]
    try:
        if params:
            order.update({"asset": {"params": params}})
        order("approve").post({"template_id": template["id"]})
    except ClientError as error:
        if not is_refusal(error) or order.get()["status"] == "pending":
            raise
    else:
        print("approved", request["id"], flush=True)


def is_refusal(error):
    """Tell a request that the API refuses from an API that fails, or has too many requests."""
    return error.status_code in range(400, 500) and error.status_code != 429


class Worker(Thread):
    """Processes the orders of a product: one run at a time, and again until a run succeeds.

    Calls overlap, because each approval is a queue change too. A call that arrives during a run
    needs another one, since that run may have read the orders already; several calls share it.
    """

    def __init__(self, product_id):
        super().__init__(daemon=True)
        self.product_id = product_id
        self.client = None
        self.calls = self.finished = 0  # `finished`: the calls whose run has succeeded.
        self.fails = False
        self.changed = Condition()

    def process(self, api_url, patience=PATIENCE):
        """Ask for a run; return whether it has succeeded, or takes longer without a failure."""
        with self.changed:
            # No retries of the client's own, which would multiply ours.
            self.client = ConnectClient(API_KEY, api_url, max_retries=0, timeout=30)
            self.calls += 1
            call = self.calls
            self.changed.notify_all()
            return self.changed.wait_for(lambda: self.finished >= call, patience) or not self.fails

    def run(self):
        failures = 0
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.finished < self.calls)
                calls, client = self.calls, self.client
            try:
                approve_pending(client, self.product_id)
                failures = 0
                with self.changed:
                    self.finished, self.fails = calls, False
                    self.changed.notify_all()
            except Exception as error:  # An error of this program, too, must not end the thread.
                print(error, error.__cause__ or "", flush=True)
                self.fails = True
                failures += 1
                self.pause(failures, calls, retry_after(client))

    def pause(self, failures, calls, at_least):
        """Wait longer after each failure; a new call ends the pause after its first second."""
        longest = min(0.25 * 2 ** min(failures, 10), LONGEST_PAUSE)
        shortest = max(at_least, min(longest, 1))
        time.sleep(shortest)
        with self.changed:
            self.changed.wait_for(lambda: self.calls > calls, max(longest - shortest, 0))


def retry_after(client):
    """Return the seconds that the API's last response asks for, or 0."""
    headers = {} if client.response is None else client.response.headers
    seconds = headers.get("Retry-After", "")
    return int(seconds) if seconds.isdecimal() else 0


WORKERS, WORKERS_LOCK = {}, Lock()


def worker(product_id):
    with WORKERS_LOCK:
        if product_id not in WORKERS:
            WORKERS[product_id] = Worker(product_id)
            WORKERS[product_id].start()
        return WORKERS[product_id]


def validate(order):
    """Set or clear the errors of an order of Nimbus Secure Suite, and return it."""
    params = {param["id"]: param for param in order["asset"].get("params", [])}
    value = {name: param.get("value") for name, param in params.items()}
    advanced = value.get("edition") == "advanced"
    wrong = {
        "customer_domain": value.get("customer_domain") in FREE_MAIL
        and "Take a domain of your own.",
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


def read_token(headers):
    """Return the claims of a request's token; raises jwt.InvalidTokenError."""
    # Connect's documentation names both headers. If both are there, one of them has to count.
    header = headers.get("Authentication", headers.get("Authorization", ""))
    scheme, _, token = header.partition(" ")
    if scheme != "Bearer":
        raise jwt.InvalidTokenError("There is no token.")
    required = ["exp", "api_url", "product_id"]
    claims = jwt.decode(token.strip(), JWT_SECRET, ["HS256"], options={"require": required})
    if type(claims["exp"]) is not int:  # PyJWT accepts a text.
        raise jwt.InvalidTokenError("exp is not an integer.")
    return claims


def read_order(body):
    """Return the order in the body of a validator's request; None for a queue change."""
    try:
        content = json.loads(body)
    except ValueError:
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
        except jwt.InvalidTokenError:
            return self.respond(401)
        order = read_order(body)
        if order:  # A validator receives the order, and returns it with edits.
            return self.respond(200, validate(order))
        # A queue change: trust the claims of the token, which are signed, and not the body.
        product_id = claims["product_id"]
        if PRODUCT_ID and product_id != PRODUCT_ID:
            return self.respond(403)
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
