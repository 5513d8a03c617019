"""Secrets that API calls and handlers repeat: neither account finds them in the sandbox."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from requests_queue.redaction import MASK
from sandbox.models import ApiCall, TimelineEntry
from sandbox.timeline import api_calls, call_storage
from sandbox.timeline.call_storage import MAX_BODY
from tests import make
from tests.api import Caller, caller
from tests.engines import running, until
from tests.handlers import ReceivedRequest, handler
from tests.make import Catalog
from tests.sandbox.calling import CheckedCaller, catalog
from tests.sandbox.recorded import call
from tests.webhooks.test_secrets import everything_stored
from webhooks.models import Attempt, Webhook

__all__ = ["catalog"]

SECRET = 'JWT-canary"of+the/webhook-0001'
HEADER = "canary of a header=0002"
WEBHOOKS = "/notifications/webhooks"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def who(catalog: Catalog) -> Caller:
    """The vendor's client, whose account has a webhook with secrets."""
    make.webhook(catalog, jwt_secret=SECRET, headers={"X-Api-Key": HEADER})
    return caller(catalog.vendor)


def shown_calls(who: Caller) -> list[dict[str, Any]]:
    """Return the recorded calls, and check that nothing that is stored has a secret."""
    calls = who.get("/sandbox/api-calls").json["calls"]
    shown = json.dumps([calls, who.get("/sandbox/timeline").json])
    assert "canary" not in shown and "canary" not in everything_stored()
    found: list[dict[str, Any]] = calls
    return found


@pytest.mark.parametrize(
    "query",
    [
        f"eq(jwt_secret,{quote(SECRET)})",
        f"jwt_secret={quote(SECRET, safe='')}&limit=1",
        "eq(jwt_secret,canary-of-nobody)&limit=1",
        "eq%28headers%2Ccanary-of-nobody%29",
        "headers.X-Api-Key=canary-of-nobody",
        f"eq(label,{quote(HEADER)})",
        "like(label,SU-100-200-300:canary-key)",
        "like(label,http%3A%2F%2Fuser%3Acanary%40host)",
    ],
)
def test_secret_in_a_query_is_stored_neither_with_the_call_nor_in_the_timeline(
    who: Caller, query: str
) -> None:
    response = who.get(f"{WEBHOOKS}?{query}")
    assert "canary" not in str(response.json)
    [shown] = shown_calls(who)
    assert shown["redacted"] is True and MASK in shown["query"]
    assert shown["query"].endswith("&limit=1") is query.endswith("&limit=1")


def test_query_without_secrets_is_kept(who: Caller) -> None:
    query = "select(-headers,stats)&ordering(-created_at)&eq(label,jwt_secret)"
    assert who.get(f"{WEBHOOKS}?{query}").status == 200
    [shown] = shown_calls(who)
    assert (shown["query"], shown["redacted"]) == (query, False)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:canary@127.0.0.1:9/", "https://canary@example.com", "ftp://u:canary/@host/",
        "http://u:p@canary@host", "http://user:canary#?@host:80/",
    ],
)  # fmt: skip
@pytest.mark.parametrize("escapes", [False, True])
def test_password_of_a_refused_address_is_not_stored(
    who: Caller, catalog: Catalog, url: str, escapes: bool
) -> None:
    body = json.dumps(
        {
            "label": "Hook",
            "product_id": catalog.product.pk,
            "external_url": url,
            "object_class": "fulfillment_request",
            "description": f"like {url}",
        }
    )
    response = who.post(WEBHOOKS, body.replace("/", r"\/") if escapes else body)
    assert response.status == 400 and "canary" not in str(response.json)
    [shown] = shown_calls(who)
    assert shown["redacted"] is True


def test_body_path_and_user_agent_are_redacted(who: Caller) -> None:
    assert who.key
    own = who.key.partition(":")[2]
    body = {"asset": {"external_id": own, "note": [SECRET, HEADER, f"Bearer {own}"]}}
    path = f"/requests/{quote(HEADER, safe='')}/approve"
    assert who.post(path, body, **{"User-Agent": f"handler {SECRET}"}).status == 404
    [shown] = shown_calls(who)
    assert shown["redacted"] is True and own not in str(shown)
    assert json.loads(shown["request_body"]) == {
        "asset": {"external_id": MASK, "note": [MASK, MASK, f"Bearer {MASK}"]}
    }
    assert shown["path"] == f"/public/v1/requests/{MASK}/approve"
    assert shown["user_agent"] == f"handler {MASK}"


def test_new_secret_of_the_actions_of_a_product_is_not_stored(
    who: Caller, catalog: Catalog
) -> None:
    response = who.post(f"/products/{catalog.product.pk}/actions/regeneratesecret", {})
    assert response.status == 200, response
    [shown] = shown_calls(who)
    assert json.loads(shown["response_body"]) == {"jwt_secret": MASK} and shown["redacted"]


def test_secret_of_a_new_key_is_not_stored(who: Caller) -> None:
    response = who.post("/auth/tokens", {"name": "New", "extension": {"id": "EXT-000"}})
    assert response.status == 201, response
    [shown] = shown_calls(who)
    assert shown["redacted"] and json.loads(shown["response_body"])["token"] == MASK


def test_unknown_key_is_redacted_in_its_own_call(catalog: Catalog) -> None:
    """Its secret has no form by itself, and is of no account."""
    key = 'SU-100-000-009:canary"of&nobody'
    Caller(key).post("/requests", {"text": key, "secret": key.partition(":")[2]})
    [shown] = shown_calls(caller(catalog.vendor))
    assert json.loads(shown["request_body"]) == {"text": MASK, "secret": MASK}


def test_secret_at_the_cut_of_a_body_leaves_no_part(who: Caller, catalog: Catalog) -> None:
    body = ((MAX_BODY - 12) * "x" + SECRET).encode()[:MAX_BODY]
    call_storage.store([call(account=catalog.vendor.pk, request_body=body, is_truncated=True)])
    row = ApiCall.objects.get()
    assert row.redacted and row.request_body == (MAX_BODY - 12) * "x" + MASK
    call_storage.store([call(account=catalog.vendor.pk, request_body=body[:-1])])
    assert not ApiCall.objects.latest("pk").redacted


def test_secret_of_another_account_is_none(catalog: Catalog, who: Caller) -> None:
    caller(catalog.provider).post("/requests", {"text": HEADER})
    api_calls.flush()
    row = ApiCall.objects.get()
    assert not row.redacted and HEADER in row.request_body


def test_distributor_gets_no_token_that_a_handler_has_repeated(catalog: Catalog) -> None:
    signatures: list[str] = []

    def respond(request: ReceivedRequest) -> tuple[int, bytes]:
        signatures.append(request.token.rpartition(".")[2])
        return 500, json.dumps({**request.headers, "secret": SECRET}).encode()

    with handler(respond) as served, running() as [engine]:
        make.webhook(
            catalog,
            f"{served.url}?key={quote(SECRET)}",
            jwt_secret=SECRET,
            headers={"X-Api-Key": HEADER},
        )
        make.order(catalog)
        engine.wake()
        until(Attempt.objects.exists, "the attempt")
    distributor = CheckedCaller(caller(catalog.provider).key)
    [listed] = distributor.get("/sandbox/deliveries").json["deliveries"]
    shown = distributor.get(f"/sandbox/deliveries/{listed['id']}").json
    [attempt] = shown["attempts"]
    assert attempt["redacted"] is True and MASK in attempt["response"]["body"]
    assert attempt["request"]["url"].endswith(f"?key={MASK}")
    texts = json.dumps([shown, listed, distributor.get("/sandbox/timeline").json])
    urls = [e.data["url"] for e in TimelineEntry.objects.filter(kind__startswith="attempt_")]
    assert len(urls) == 2 and {url.partition("?")[2] for url in urls} == {f"key={MASK}"}
    # The address itself is a setting of the webhook.
    Webhook.objects.update(external_url="")
    for secret in (*signatures, "canary"):
        assert secret not in texts + everything_stored()
