"""A Connect webhook handler: checks the token, approves what is pending, answers 200."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

import jwt
from connect.client import ClientError, ConnectClient, R

API_KEY, JWT_SECRET = os.environ["CONNECT_API_KEY"], os.environ["JWT_SECRET"]
# Calls overlap (each approval is a queue change too), but the queue is worked on once at a time.
ONE_AT_A_TIME = Lock()


def approve_pending(api_url, product_id):
    client = ConnectClient(API_KEY, endpoint=api_url)
    templates = client.products[product_id].templates
    template = templates.filter(scope="asset", type="fulfillment").first()
    pending = R().status.eq("pending") & R().asset.product.id.eq(product_id)
    # The whole list first: approving while paging through it would skip some.
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


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        token = self.headers.get("Authentication", "").removeprefix("Bearer ")
        try:
            # What the token says is signed, what the body says is not.
            claims = jwt.decode(
                token, JWT_SECRET, algorithms=["HS256"], options={"require": ["exp"]}
            )
            with ONE_AT_A_TIME:
                approve_pending(claims["api_url"], claims["product_id"])
            self.send_response(200)
        except jwt.InvalidTokenError:
            self.send_response(401)
        except ClientError as error:
            print(error, flush=True)
            self.send_response(500)  # Connect calls again, five minutes later at the earliest.
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", 9000))), Handler)
    print(f"Listening at http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()
