"""Handlers that stumble over bodies, or over claims that are seldom there."""

from __future__ import annotations

import json
import os
from datetime import datetime

from tests.checks.handlers.reference import Handler, Json
from tests.checks.handlers.web import Call, Response

KNOWN = {"webhook_id", "webhook_name", "object_class", "account_id", "product_id", "api_url",
         "triggered_at", "last_success_at", "last_failure_at", "processing_timeout",
         "data"}  # fmt: skip


def content_of(call: Call) -> Json:
    """Return the decoded body; empty if there is none."""
    try:
        content = json.loads(call.body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


class FailsOnUnicode(Handler):
    """It writes what it received into a log whose encoding is ASCII."""

    def queue_changed(self, call: Call, claims: Json) -> Response:
        try:
            json.dumps([claims, content_of(call)], ensure_ascii=False).encode("ascii")
        except UnicodeEncodeError:
            return Response(500)
        return super().queue_changed(call, claims)


class FailsOnNestedData(Handler):
    """It takes the webhook's data for texts."""

    def queue_changed(self, call: Call, claims: Json) -> Response:
        if not all(isinstance(value, str) for value in claims["data"].values()):
            return Response(500)
        return super().queue_changed(call, claims)


class NeedsData(Handler):
    """It looks for a setting in the webhook's data, which are empty by default."""

    def queue_changed(self, call: Call, claims: Json) -> Response:
        return super().queue_changed(call, claims) if claims["data"] else Response(500)


class RejectsUnknownKeys(Handler):
    """It refuses a body with keys that it doesn't know."""

    def queue_changed(self, call: Call, claims: Json) -> Response:
        unknown = content_of(call).keys() - KNOWN
        return Response(400) if unknown else super().queue_changed(call, claims)


class MisreadsDates(Handler):
    """It expects UTC to be written as Z in the time of the last failure."""

    def queue_changed(self, call: Call, claims: Json) -> Response:
        try:
            if claims["last_failure_at"] is not None:
                datetime.strptime(claims["last_failure_at"], "%Y-%m-%dT%H:%M:%SZ")
        except ValueError:
            return Response(500)
        return super().queue_changed(call, claims)


class NeedsALength(Handler):
    """It refuses a chunked body."""

    def queue_changed(self, call: Call, claims: Json) -> Response:
        if "Transfer-Encoding" in call.headers:
            return Response(411)
        return super().queue_changed(call, claims)


class RejectsLargeBodies(Handler):
    """It refuses a body of more than 64 KiB."""

    def respond(self, call: Call) -> Response:
        return Response(413) if len(call.body) > 64 * 1024 else super().respond(call)


class InsistsOnTheContentType(Handler):
    """It refuses a body that isn't said to be JSON."""

    def respond(self, call: Call) -> Response:
        is_json = call.headers.get("Content-Type", "").startswith("application/json")
        return super().respond(call) if is_json or call.method == "GET" else Response(415)


class FailsOnBrokenJson(Handler):
    """It decodes the body, although everything is in the token."""

    def queue_changed(self, call: Call, claims: Json) -> Response:
        try:
            json.loads(call.body or b"{}")
        except ValueError:
            return self.fail()
        return super().queue_changed(call, claims)

    def fail(self) -> Response:
        return Response(500)


class DiesOfBrokenJson(FailsOnBrokenJson):
    """It ends with an error of its decoder."""

    def fail(self) -> Response:
        os._exit(1)


class NeedsABody(Handler):
    """It decodes the body of a POST, even if that is empty."""

    def respond(self, call: Call) -> Response:
        if call.method == "POST" and not call.body:
            return Response(500)
        return super().respond(call)
