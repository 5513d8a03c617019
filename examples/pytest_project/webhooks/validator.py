"""A validator with Flask: what is wrong with an order, while the customer fills it in."""

import jwt
import requests
from flask import Flask, request

from webhooks import tokens
from webhooks.connect import Connect

FREE_MAIL = ("gmail.com", "outlook.com", "yahoo.com")


def create_app(api_key, secret):
    app = Flask(__name__)

    @app.post("/")
    def validate_order():
        try:
            claims = tokens.read(request.headers, secret)
            return validate(Connect(claims["api_url"], api_key), request.get_json())
        except jwt.InvalidTokenError:
            return "", 401
        except requests.RequestException:
            return "", 500

    return app


def validate(connect, order):
    """Set or clear the errors of an order, and return it."""
    for param in order["asset"]["params"]:
        if param["id"] == "domain":
            product = order["asset"]["product"]["id"]
            param["value_error"] = error_of(connect, product, param["value"])
    return order


def error_of(connect, product, domain):
    if domain in FREE_MAIL:
        return "Take a domain of your own."
    if domain and is_taken(connect, product, domain):
        return "Another customer has this domain."
    return ""


def is_taken(connect, product, domain):
    query = f"and(eq(product.id,{product}),eq(status,active),eq(params.value,{domain}))&limit=1"
    return bool(connect.get(f"/assets?{query}"))
