"""Resellers (tier configuration requests): a handler with FastAPI, which works in the background.

It responds at once, so Connect doesn't repeat a request whose work fails: what is still pending is
processed with the next one.
"""

from threading import Lock

import jwt
from fastapi import BackgroundTasks, FastAPI, Request, Response

from webhooks import tokens
from webhooks.connect import Connect

# Background tasks overlap, too.
ONE_AT_A_TIME = Lock()


def create_app(api_key, secret, cloud):
    app = FastAPI()

    @app.post("/")
    def queue_changed(request: Request, background: BackgroundTasks):
        try:
            claims = tokens.read(request.headers, secret)
        except jwt.InvalidTokenError:
            return Response(status_code=401)
        connect = Connect(claims["api_url"], api_key)
        background.add_task(process_pending, connect, claims["product_id"], cloud)
        return Response()

    return app


def process_pending(connect, product, cloud):
    query = f"and(eq(status,pending),eq(configuration.product.id,{product}))&limit=1000"
    with ONE_AT_A_TIME:
        for setup in connect.get(f"/tier/config-requests?{query}"):
            set_up(connect, setup, cloud)


def set_up(connect, setup, cloud):
    """Create a reseller's environment, in which it manages its customers."""
    path = f"/tier/config-requests/{setup['id']}"
    values = {param["id"]: param["value"] for param in setup["params"]}
    environment = cloud.create(setup["configuration"]["id"], values["domain"])
    connect.put(path, {"params": [{"id": "reseller_id", "value": environment}]})
    text = f"Your environment is {environment}."
    connect.post(f"{path}/approve", {"template": {"representation": text}})
