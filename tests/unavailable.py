"""Callers of the API and the pages while the database is unavailable."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.core.signals import request_started
from django.test import Client
from django.test.client import ClientHandler

from requests_queue.catalog import keys
from tests import make
from tests.signed_in import root  # noqa: F401  (fixtures)

API = ("/public/v1/requests", "/public/v1/notifications/webhooks", "/sandbox/clock")
PAGES = ("/", "/webhooks/", "/admin/", "/admin/webhooks/webhook/", "/there-is-nothing-here")


class Handler(ClientHandler):
    """Django's own, with the connections closed around a request as a server does it."""

    def __call__(self, environ: dict[str, Any]) -> Any:
        if self._middleware_chain is None:
            self.load_middleware()
        request_started.send(sender=self.__class__, environ=environ)
        request = WSGIRequest(environ)
        request._dont_enforce_csrf_checks = True
        response = self.get_response(request)
        response.wsgi_request = request
        response.close()
        return response


class Callers:
    """A caller with an API key, and a signed-in browser."""

    def __init__(self, browser: Client, key: str) -> None:
        self.browser = browser
        self.api = Client(headers={"Authorization": f"ApiKey {key}"})
        for client in (self.browser, self.api):
            client.raise_request_exception = False
            client.handler = Handler()

    def get(self, path: str) -> Any:
        return (self.api if path in API else self.browser).get(path)


@pytest.fixture
def callers(root: Client, catalog: make.Catalog) -> Callers:
    key = keys.new_key()
    keys.store(catalog.vendor, key, "test")
    return Callers(root, key)


def is_unavailable(response: Any, path: str, caplog: pytest.LogCaptureFixture) -> str:
    """Check a 503 response and its log; return the message."""
    assert response.status_code == 503, (path, response.content[:300])
    assert int(response.headers["Retry-After"]) > 0
    lines = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(lines) == 1 and lines[0].exc_info is None, [line.getMessage() for line in lines]
    assert path in lines[0].getMessage() and "\n" not in lines[0].getMessage()
    caplog.clear()
    if path not in API:
        text = response.content.decode()
        assert "<h1>The " in text and "Content-Security-Policy" in response.headers
        return text
    body = json.loads(response.content)
    assert body["error_code"] == "SYS_503" and len(body["errors"]) == 1
    return str(body["errors"][0])


def all_unavailable(callers: Callers, caplog: pytest.LogCaptureFixture, sentence: str) -> None:
    for path in (*API, *PAGES):
        assert sentence in is_unavailable(callers.get(path), path, caplog), path


def all_well(callers: Callers) -> None:
    for path in (*API, *PAGES):
        expected = 404 if "nothing" in path else 200
        assert callers.get(path).status_code == expected, path
