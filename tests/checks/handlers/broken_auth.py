"""Handlers that accept tokens of somebody else, or refuse Connect's."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import jwt

from tests.checks.handlers.api import Api, ApiError
from tests.checks.handlers.reference import Handler, Json
from tests.checks.handlers.web import Call, Response


def read_unverified(token: str) -> tuple[Json, Json]:
    """Return a token's header and claims, without a look at its signature."""
    options = {"verify_signature": False}
    return jwt.get_unverified_header(token), dict(jwt.decode(token, options=options))


def read_body(call: Call) -> Json:
    """Return what the body says in place of claims; raises jwt.InvalidTokenError."""
    try:
        content = json.loads(call.body)
        return {"product_id": content["product_id"], "api_url": content["api_url"]}
    except (ValueError, KeyError, TypeError) as error:
        raise jwt.InvalidTokenError("neither a token nor a body") from error


class RejectsGet(Handler):
    """It accepts POST only, whatever the webhook's method is."""

    def respond(self, call: Call) -> Response:
        return Response(405) if call.method == "GET" else super().respond(call)


class RejectsTwoHeaders(Handler):
    """It takes a call with both headers for an attack."""

    def header_of(self, call: Call) -> str:
        if "Authentication" in call.headers and "Authorization" in call.headers:
            raise jwt.InvalidTokenError("two headers")
        return super().header_of(call)


class ReadsAuthorizationOnly(Handler):
    """It has never heard of the header `Authentication`."""

    def header_of(self, call: Call) -> str:
        return str(call.headers.get("Authorization", ""))


class ReadsAuthenticationOnly(Handler):
    """It has never heard of the header `Authorization`."""

    def header_of(self, call: Call) -> str:
        return str(call.headers.get("Authentication", ""))


class AcceptsCallsWithoutToken(Handler):
    """It checks a token only if there is one."""

    def authenticate(self, call: Call) -> Json:
        if {"Authentication", "Authorization"} & set(call.headers):
            return super().authenticate(call)
        return read_body(call)


class WorksForAnyGet(Handler):
    """It asks for no token if the method is GET, which was meant for monitoring."""

    def authenticate(self, call: Call) -> Json:
        if call.method == "GET":
            return {"product_id": self.product_id, "api_url": self.api_url}
        return super().authenticate(call)


class AcceptsEmptyHeader(Handler):
    """It checks that there is a header, and not that there is something in it."""

    def authenticate(self, call: Call) -> Json:
        headers = {"Authentication", "Authorization"} & set(call.headers)
        token = self.header_of(call).removeprefix("Bearer").strip()
        return super().authenticate(call) if token or not headers else read_body(call)


class AcceptsGarbage(Handler):
    """It only refuses what is a token, and goes on after an error of decoding."""

    def authenticate(self, call: Call) -> Json:
        token = self.header_of(call).removeprefix("Bearer").strip()
        try:
            jwt.get_unverified_header(token)
        except jwt.DecodeError:
            if token:
                return read_body(call)
        return super().authenticate(call)


class AcceptsAnySignature(Handler):
    """It decodes the token without verifying the signature."""

    def verify(self, token: str) -> Json:
        header, _ = read_unverified(token)
        if header["alg"] != "HS256" or not token.rpartition(".")[2]:
            raise jwt.InvalidTokenError("unsigned")
        return super().verify(resigned(token, self.secret))


class AcceptsTokensWithoutSignature(Handler):
    """It verifies the signature only if there is one."""

    def verify(self, token: str) -> Json:
        header, _ = read_unverified(token)
        if header["alg"] == "HS256" and not token.rpartition(".")[2]:
            token = resigned(token, self.secret)
        return super().verify(token)


class AcceptsAlgNone(Handler):
    """It lets the token choose to have no signature."""

    def verify(self, token: str) -> Json:
        header, _ = read_unverified(token)
        return super().verify(resigned(token, self.secret) if header["alg"] == "none" else token)


class AcceptsAlgNoneInCapitals(Handler):
    """It forbids `none`, but takes the header's letters for small ones afterwards."""

    def verify(self, token: str) -> Json:
        header, _ = read_unverified(token)
        is_none = header["alg"] != "none" and header["alg"].lower() == "none"
        return super().verify(resigned(token, self.secret) if is_none else token)


class AcceptsHs512(Handler):
    """It takes every HMAC algorithm that the token names."""

    def verify(self, token: str) -> Json:
        options = {"require": ["exp", "api_url", "product_id"], "verify_aud": False}
        algorithms = ["HS256", "HS384", "HS512"]
        return dict(jwt.decode(token, self.secret, algorithms, options=options))


class IgnoresTheAlgorithm(Handler):
    """It computes an HMAC with SHA-256, whatever algorithm the token names."""

    def verify(self, token: str) -> Json:
        _, claims = read_unverified(token)
        if not hmac.compare_digest(signed(token, self.secret), token):
            raise jwt.InvalidTokenError("wrong signature")
        return super().verify(jwt.encode(claims, self.secret, "HS256"))


class TrustsTheEmbeddedKey(Handler):
    """It verifies a token with the key that the token brings along."""

    def verify(self, token: str) -> Json:
        key = jwt.get_unverified_header(token).get("jwk")
        if key is None:
            return super().verify(token)
        options = {"require": ["exp"], "verify_aud": False}
        return dict(jwt.decode(token, jwt.PyJWK(key), ["RS256"], options=options))


class TakesTheSecretOfTheNamedWebhook(Handler):
    """It verifies a token with the secret of the webhook that the token names."""

    def verify(self, token: str) -> Json:
        try:
            return super().verify(token)
        except jwt.InvalidSignatureError:
            _, claims = read_unverified(token)
            api = Api(self.api_url or claims["api_url"], self.key)
            try:
                webhook = api.get(f"/notifications/webhooks/{claims['webhook_id']}")
            except ApiError as error:
                raise jwt.InvalidTokenError("no such webhook") from error
            jwt.decode(token, webhook["jwt_secret"], ["HS256"])
            return claims


class ProcessesItsProductForAnyToken(Handler):
    """It doesn't read for which product the token is."""

    def product_of(self, call: Call, claims: Json) -> str:
        return self.product_id or super().product_of(call, claims)


class AcceptsEitherHeader(Handler):
    """It looks for a header that is valid, among two that disagree."""

    def authenticate(self, call: Call) -> Json:
        for name in ("Authentication", "Authorization"):
            try:
                return self.verify(self.token_in(call.headers.get(name, "")))
            except jwt.InvalidTokenError:
                continue
        raise jwt.InvalidTokenError("neither header is valid")


class FailsOnWhitespace(Handler):
    """It splits the header at its spaces, and doesn't expect more than one."""

    def respond(self, call: Call) -> Response:
        header = self.header_of(call)
        is_expected = not header or len(header.split(" ")) == 2
        return super().respond(call) if is_expected else Response(500)


def signed(token: str, secret: str) -> str:
    """Return a token with an HMAC-SHA256 signature in place of its own."""
    content = token.rpartition(".")[0]
    digest = hmac.new(secret.encode(), content.encode(), hashlib.sha256).digest()
    return f"{content}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def resigned(token: str, secret: str) -> str:
    """Return a valid token with the same claims."""
    _, claims = read_unverified(token)
    return jwt.encode(claims, secret, "HS256")
