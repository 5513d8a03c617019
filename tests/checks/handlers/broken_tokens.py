"""Handlers that misread the claims of a token."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import jwt

from tests.checks.handlers.api import Api, ApiError
from tests.checks.handlers.broken_auth import read_unverified
from tests.checks.handlers.reference import Handler, Json
from tests.checks.handlers.web import Call, Response

YEAR = 366 * 24 * 3600
KNOWN = {"webhook_id", "webhook_name", "object_class", "account_id", "product_id", "api_url",
         "triggered_at", "last_success_at", "last_failure_at", "processing_timeout", "data",
         "exp"}  # fmt: skip


class _Lenient(Handler):
    """It verifies the signature, and times as `options` and `leeway` say."""

    options: Json = {}
    leeway = 0

    def verify(self, token: str) -> Json:
        claims = jwt.decode(token, self.secret, ["HS256"], self.options, leeway=self.leeway)
        return dict(claims)


class AllowsAMinuteMore(_Lenient):
    """It accepts a token for a minute after its end."""

    options = {"require": ["exp"]}
    leeway = 60


class AllowsTenMinutesMore(AllowsAMinuteMore):
    """It accepts each token for twice as long as the token says."""

    leeway = 600


class IgnoresTheEnd(_Lenient):
    """It accepts a token long after its end."""

    options = {"require": ["exp"], "verify_exp": False}

    def verify(self, token: str) -> Json:
        claims = super().verify(token)
        if type(claims["exp"]) is not int:
            raise jwt.InvalidTokenError("exp is not an integer")
        return claims


class RemembersVerifiedTokens(Handler):
    """It verifies each token once."""

    def __init__(self, environ: Any) -> None:
        super().__init__(environ)
        self.verified: dict[str, Json] = {}

    def verify(self, token: str) -> Json:
        if token not in self.verified:
            self.verified[token] = super().verify(token)
        return self.verified[token]


class AllowsTokensWithoutEnd(_Lenient):
    """It checks when a token ends only if the token says it."""

    def verify(self, token: str) -> Json:
        _, claims = read_unverified(token)
        return super().verify(token) if "exp" not in claims else Handler.verify(self, token)


class AcceptsATextAsEnd(Handler):
    """It checks the end of a token only if that is a number."""

    def verify(self, token: str) -> Json:
        _, claims = read_unverified(token)
        if not isinstance(claims.get("exp"), str):
            return super().verify(token)
        options = {"verify_exp": False}
        return dict(jwt.decode(token, self.secret, ["HS256"], options=options))


class RepeatsTheWorkOfAToken(Handler):
    """It knows the orders of each token, and provisions them again when it comes again."""

    def __init__(self, environ: Any) -> None:
        super().__init__(environ)
        self.approved: list[tuple[str, str]] = []
        self.tokens: dict[str, list[tuple[str, str]]] = {}

    def queue_changed(self, call: Call, claims: Json) -> Response:
        token = self.token_in(self.header_of(call))
        api = Api(self.api_url or claims["api_url"], self.key)
        gone = [self.is_gone(api, *each) for each in self.tokens.get(token, [])]
        if gone and all(gone):
            # After a restore the platform may sign a token of the past again.
            del self.tokens[token]
        response = super().queue_changed(call, claims)
        self.tokens.setdefault(token, list(self.approved))
        return response

    def is_gone(self, api: Api, id: str, template: str) -> bool:
        """Provision an order again, and return whether it doesn't exist any more."""
        try:
            order = api.get(f"/requests/{id}")
            names = [p["id"] for p in order["asset"]["params"] if p["phase"] == "fulfillment"]
            params = [{"id": name, "value": str(uuid.uuid4())} for name in names]
            api.put(f"/requests/{id}", {"asset": {"params": params}})
        except ApiError as error:
            self.failed(error)
            return error.status == 404
        return False

    def send_approval(self, api: Api, id: str, template: str) -> None:
        super().send_approval(api, id, template)
        self.approved.append((id, template))


class RejectsUnknownClaims(Handler):
    """It refuses a token with claims that it doesn't know."""

    def verify(self, token: str) -> Json:
        claims = super().verify(token)
        if claims.keys() - KNOWN:
            raise jwt.InvalidTokenError("unknown claims")
        return claims


class TrustsTheBody(Handler):
    """It takes the product from the body, which isn't signed."""

    def product_of(self, call: Call, claims: Json) -> str:
        try:
            return str(json.loads(call.body)["product_id"])
        except (ValueError, KeyError, TypeError):
            return super().product_of(call, claims)

    def queue_changed(self, call: Call, claims: Json) -> Response:
        return Response(200 if self.process(self.product_of(call, claims), claims) else 500)


class RejectsTokensForYears(Handler):
    """It refuses a token that is valid for longer than a year."""

    def verify(self, token: str) -> Json:
        claims = super().verify(token)
        if claims["exp"] > time.time() + YEAR:
            raise jwt.InvalidTokenError("valid for too long")
        return claims
