"""A Connect webhook handler: approves pending orders of a product, and validates drafts."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

import jwt
from connect.client import ClientError, ConnectClient, R

API_KEY, JWT_SECRET = os.environ["CONNECT_API_KEY"], os.environ["JWT_SECRET"]
# Requests overlap, because each approval is a queue change too: process the queue once at a time.
ONE_AT_A_TIME = Lock()
FREE_MAIL = ("gmail.com", "outlook.com", "yahoo.com")


def approve_pending(api_url, product_id):
    client = ConnectClient(API_KEY, endpoint=api_url)
    templates = client.products[product_id].templates
    template = templates.filter(scope="asset", type="fulfillment").first()
    pending = R().status.eq("pending") & R().asset.product.id.eq(product_id)
    # Read the whole list first: approving while paging through it would skip some.
    for request in list(client.requests.filter(pending).order_by("created")):
        params = [
            {"id": param["id"], "value": f"{param['id']}-{request['id']}"}
            for param in request["asset"]["params"]
            if param["phase"] == "fulfillment"
            and param["constraints"]["required"]
            and not param["value"]
        ]
        client.requests[request["id"]].update({"asset": {"params": params}})
        client.requests[request["id"]]("approve").post({"template_id": template["id"]})
        print("approved", request["id"], flush=True)


def validate(order):
    """Set or clear the errors of an order of Nimbus Secure Suite, and return it."""
    params = {param["id"]: param for param in order["asset"]["params"]}
    value = {name: param["value"] for name, param in params.items()}
    advanced = value["edition"] == "advanced"
    wrong = {
        "customer_domain": value["customer_domain"] in FREE_MAIL and "Take a domain of your own.",
        "data_region": value["data_region"] == "uk" and not advanced and "Advanced edition only.",
        "siem_url": advanced and not value["siem_url"] and "Where do alerts go?",
    }
    for name, error in wrong.items():
        params[name]["value_error"] = error or ""
    params["siem_url"]["constraints"]["required"] = advanced
    return order


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        token = self.headers.get("Authentication", "").removeprefix("Bearer ")
        try:
            claims = jwt.decode(token, JWT_SECRET, ["HS256"], options={"require": ["exp"]})
            order = json.loads(body or b"{}")
            if "asset" in order:  # A validator receives the order, and returns it with edits.
                return self.respond(200, validate(order))
            # A queue change: trust the claims of the token, which are signed, and not the body.
            with ONE_AT_A_TIME:
                approve_pending(claims["api_url"], claims["product_id"])
            self.respond(200)
        except jwt.InvalidTokenError:
            self.respond(401)
        except ClientError as error:
            print(error, flush=True)
            self.respond(500)  # Connect retries, five minutes later at the earliest.

    def respond(self, status, content=None):
        body = json.dumps(content or {}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST


if __name__ == "__main__":
    # In a container HOST=0.0.0.0, so that other containers can call it.
    host, port = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", 9000))
    server = ThreadingHTTPServer((host, port), Handler)
    print(f"Listening at http://{host}:{server.server_port}/", flush=True)
    server.serve_forever()
