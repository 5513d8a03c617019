"""The public page of an action's link, which shows the decoded token."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import urlsplit

import jwt
import pytest
import time_machine
from django.test import Client

from requests_queue import clock
from requests_queue.catalog import action_links
from requests_queue.catalog.models import Product, ProductAction
from requests_queue.db import encryption
from tests import html
from tests.api import Caller, ids

pytestmark = pytest.mark.django_db

SUITE = "PRD-362-917-440"
SIGN_IN = f"/products/{SUITE}/actions/ACT-362-917-440-001"


def path_of(vendor: Caller, query: str = "") -> str:
    """Return path and query of a link."""
    parts = urlsplit(vendor.get(f"{SIGN_IN}/actionLink{query}").json["link"])
    return f"{parts.path}?{parts.query}"


def secret() -> str:
    return encryption.decrypt(Product.objects.get(pk=SUITE).stored_action_secret)


def test_page_shows_the_decoded_token_without_signing_in(vendor: Caller, client: Client) -> None:
    asset = ids(vendor, f"/assets?product.id={SUITE}&limit=1")[0]
    response = client.get(path_of(vendor, f"?asset_id={asset}"))
    page = html.parse(response)
    shown = (
        f'"asset_id": "{asset}"',
        '"action_id": "sign_in"',
        '"alg": "HS256"',
        "Anyone with this link can open the page",
    )
    assert [text for text in shown if text not in page] == []
    assert secret() not in response.content.decode()
    assert response["Content-Security-Policy"].startswith("default-src 'self'")
    assert response["Cache-Control"] == "no-store"


def test_python_example_on_the_page_verifies_the_token(vendor: Caller, client: Client) -> None:
    path = path_of(vendor)
    label = "How to verify the token in Python"
    code = html.get(client, path).one(f'pre[aria-label="{label}"]').raw_text
    code = code.replace('os.environ["ACTION_SECRET"]', "secret")
    scope = {"token": path.partition("jwt=")[2], "secret": secret()}
    exec(code, scope)
    assert scope["claims"]["action_id"] == "sign_in"
    with pytest.raises(jwt.InvalidSignatureError):
        exec(code, {**scope, "secret": "x" * 40})


def test_page_refuses_an_invalid_token(vendor: Caller, client: Client) -> None:
    base, _, token = path_of(vendor).partition("?jwt=")
    claims = {"action_id": "sign_in", "exp": 2**40}
    forged = [
        jwt.encode(claims, "x" * 40, algorithm="HS256"),
        jwt.encode(claims, "", algorithm="none"),
        token[:-4] + "AAAA",
        "",
        "x",
        "a.b.c",
    ]
    # The same response as for a missing action.
    missing = client.get(f"/actions/ACT-0?jwt={token}")
    assert missing.status_code == 403 and "Nimbus" not in missing.content.decode()
    for wrong in forged:
        response = client.get(f"{base}?jwt={wrong}")
        assert (response.status_code, response.content) == (403, missing.content), wrong


@pytest.mark.parametrize("exp", ["soon", 1.5e9, -1, 2**60, True, None, [1]])
def test_page_refuses_an_invalid_exp(vendor: Caller, client: Client, exp: object) -> None:
    base = path_of(vendor).partition("?")[0]
    token = jwt.encode({"action_id": "sign_in", "exp": exp}, secret(), algorithm="HS256")
    assert client.get(f"{base}?jwt={token}").status_code == 403


def test_page_refuses_the_token_of_another_action(vendor: Caller, client: Client) -> None:
    token = path_of(vendor).partition("?jwt=")[2]
    page = html.get(client, f"/actions/ACT-362-917-440-002?jwt={token}", 403)
    assert "another action" in page


def test_link_expires_after_ten_minutes_of_platform_time(vendor: Caller, client: Client) -> None:
    path = path_of(vendor)
    just = action_links.VALID - timedelta(seconds=5)
    with time_machine.travel(clock.now() + just):
        assert client.get(path).status_code == 200
    with time_machine.travel(clock.now() + action_links.VALID + timedelta(seconds=1)):
        page = html.get(client, path, 403)
    assert re.search(r"It expired at 20[-\d]{8} [:\d]{8} UTC\.", page.text)


def test_link_ends_with_a_new_secret_and_with_its_action(vendor: Caller, client: Client) -> None:
    path = path_of(vendor)
    assert client.get(path).status_code == 200
    vendor.post(f"/products/{SUITE}/actions/regeneratesecret")
    assert client.get(path).status_code == 403
    path = path_of(vendor)
    ProductAction.objects.filter(product=SUITE).delete()
    assert client.get(path).status_code == 403
