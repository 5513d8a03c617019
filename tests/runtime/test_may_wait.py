"""Threads of validations: only for clients with a valid API key, a form's code, or a session."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.wsgi import get_wsgi_application

from connect_sim.server.django_app import QUESTION
from requests_queue.queues.fulfillment import creation
from requests_queue.queues.fulfillment.models import Request
from tests import make
from tests.api import caller
from tests.runtime.serving import connect, read, serving
from tests.runtime.test_http import HEAD
from tests.signed_in import signed_in

pytestmark = pytest.mark.django_db(transaction=True)
VALIDATE = "/public/v1/requests/PR-1111-1111-1111-001/validate"


@dataclass
class Served:
    """Django at a socket; `threads` are those in which requests were served."""

    url: str
    threads: list[str] = field(default_factory=list)

    def post(self, target: str, *headers: str) -> tuple[int, dict[str, str], bytes]:
        head = "".join(f"{header}\r\n" for header in headers).encode()
        with connect(self.url) as line:
            line.sendall(f"POST {target} HTTP/1.1\r\n".encode() + HEAD + head + b"\r\n")
            return read(line)


@pytest.fixture
def served(settings: Any) -> Iterator[Served]:
    django = get_wsgi_application()

    def wsgi(environ: dict[str, Any], start: Any) -> Any:
        if QUESTION not in environ:
            served.threads.append(threading.current_thread().name.rpartition("-")[0])
        return django(environ, start)

    served = Served("")
    with serving(wsgi, settings) as served.url:
        yield served


def order(catalog: make.Catalog) -> Request:
    return creation.create(make.purchase(catalog), catalog.as_distributor)


@pytest.mark.parametrize("header", [
    "X-Other: 1", "Authorization: ApiKey SU-000-000-000:0123456789", "Authorization: Bearer x",
])  # fmt: skip
@pytest.mark.parametrize("target", [VALIDATE, f"/{VALIDATE}/", "/public/v1/x/validate"])
def test_call_without_a_valid_key_uses_no_thread_of_validations(
    served: Served, target: str, header: str
) -> None:
    status, headers, content = served.post(target, header)
    assert status == 401 and b'"AUTH_001"' in content
    assert headers["www-authenticate"] == "ApiKey"
    assert served.threads == []


@pytest.mark.parametrize("query", ["", "?code=", "?code=wrong", "?code={code}&code={code}"])
@pytest.mark.parametrize("target", ["/forms/{pk}", "//forms/{pk}/check", "/forms/", "/forms/PR-1"])
def test_form_without_its_code_uses_no_thread_of_validations(
    served: Served, target: str, query: str
) -> None:
    row = order(make.catalog())
    address = (target + query).format(pk=row.pk, code=row.form_code)
    assert served.post(address)[0] == 404
    assert served.threads == []


def test_page_without_a_session_uses_no_thread_of_validations(served: Served) -> None:
    status, headers, _ = served.post("/queues/fulfillment/PR-1/validate/")
    assert (status, headers["location"]) == (303, "/sign-in/")
    assert served.post("/queues/fulfillment/PR-1/validate/", "HX-Request: true")[0] == 403
    assert served.threads == []


def test_clients_that_may_wait_use_threads_of_validations(served: Served) -> None:
    catalog = make.catalog()
    row = order(catalog)
    key = f"Authorization: ApiKey {caller(catalog.vendor).key}"
    cookies = signed_in(catalog.vendor_user).cookies
    session = f"Cookie: {cookies[django_settings.SESSION_COOKIE_NAME].OutputString()}"
    assert served.post(VALIDATE, key)[0] == 404
    # Without the CSRF token of the page.
    assert served.post(f"/forms/{row.pk}?code={row.form_code}")[0] == 403
    assert served.post("/queues/fulfillment/PR-1/validate/", session)[0] == 403
    assert served.threads == ["waits-for-validator"] * 3


def test_form_is_shown_by_ordinary_threads(served: Served) -> None:
    row = order(make.catalog())
    with connect(served.url) as line:
        target = f"/forms/{row.pk}?code={row.form_code}"
        line.sendall(f"GET {target} HTTP/1.1\r\n".encode() + HEAD + b"\r\n")
        assert read(line)[0] == 200
    assert served.threads == ["web"]
