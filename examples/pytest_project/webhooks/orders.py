"""Orders (fulfillment requests): a handler with Flask, which has done its work when it responds."""

from threading import Lock

import jwt
import requests
from flask import Flask, request

from sandbox import CloudDown, DomainTaken
from webhooks import tokens
from webhooks.connect import Connect

# Requests overlap, because each approval is a queue change too: process the queue once at a time.
ONE_AT_A_TIME = Lock()


def create_app(api_key, secret, cloud):
    app = Flask(__name__)

    @app.post("/")
    def queue_changed():
        return "", respond(request.headers, api_key, secret, cloud)

    return app


def respond(headers, api_key, secret, cloud):
    """Process the pending orders, and return the HTTP status of the response."""
    try:
        claims = tokens.read(headers, secret)
        with ONE_AT_A_TIME:
            process_pending(Connect(claims["api_url"], api_key), claims["product_id"], cloud)
    except jwt.InvalidTokenError:
        return 401
    except (CloudDown, requests.RequestException):
        return 500  # Connect repeats the request, five minutes later at the earliest.
    return 200


def process_pending(connect, product, cloud):
    query = f"and(eq(status,pending),eq(asset.product.id,{product}))&ordering(created)&limit=1000"
    for order in connect.get(f"/requests?{query}"):
        if order["type"] == "purchase":
            purchase(connect, order, cloud)
        else:
            update(connect, order, cloud)


def purchase(connect, order, cloud):
    """Create an environment; ask for the customer's domain if the order has none."""
    path = f"/requests/{order['id']}"
    values = {param["id"]: param["value"] for param in order["asset"]["params"]}
    if not values["domain"]:
        question = {"id": "domain", "value_error": "Which domain is yours?"}
        connect.put(path, {"asset": {"params": [question]}})
        connect.post(f"{path}/inquire", {})
        return
    try:
        environment = cloud.create(order["asset"]["id"], values["domain"])
    except DomainTaken:
        reason = f"{values['domain']} has an environment already."
        connect.post(f"{path}/fail", {"reason": reason})
        return
    # Connect keeps its error when the value changes; that of the domain ends with the answer.
    activation = {"id": "activation_id", "value": environment, "value_error": ""}
    connect.put(path, {"asset": {"params": [activation]}})
    connect.post(f"{path}/approve", {"activation_tile": f"Your environment is {environment}."})


def update(connect, order, cloud):
    """Suspend, resume or delete the environment of a subscription."""
    subscription = order["asset"]["id"]
    if order["type"] == "suspend":
        cloud.set_status(subscription, "stopped")
    elif order["type"] == "resume":
        cloud.set_status(subscription, "running")
    elif order["type"] == "cancel":
        cloud.delete(subscription)
    connect.post(f"/requests/{order['id']}/approve", {})
