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
    text = response.content.decode()
    assert response.status_code == 200
    assert f"&quot;asset_id&quot;: &quot;{asset}&quot;" in text
    assert "&quot;action_id&quot;: &quot;sign_in&quot;" in text
    assert "&quot;alg&quot;: &quot;HS256&quot;" in text
    assert secret() not in text
    assert "Anyone with this link can open the page" in text
    assert response["Content-Security-Policy"].startswith("default-src 'self'")
    assert response["Cache-Control"] == "no-store"


def test_python_example_on_the_page_verifies_the_token(vendor: Caller, client: Client) -> None:
    path = path_of(vendor)
    text = client.get(path).content.decode()
    match = re.search(r'in Python">(.*?)</pre>', text, re.S)
    assert match
    code = match[1].replace("&quot;", '"')
    token = path.partition("jwt=")[2]
    code = code.replace('os.environ["ACTION_SECRET"]', "secret")
    scope = {"token": token, "secret": secret()}
    exec(code, scope)
    assert scope["claims"]["action_id"] == "sign_in"
    with pytest.raises(jwt.InvalidSignatureError):
        exec(code, {"token": token, "secret": "x" * 40})


def test_page_refuses_an_invalid_token(vendor: Caller, client: Client) -> None:
    path = path_of(vendor)
    base, _, token = path.partition("?jwt=")
    claims = {"action_id": "sign_in", "exp": 2**40}
    forged = [
        jwt.encode(claims, "x" * 40, algorithm="HS256"),
        jwt.encode(claims, "", algorithm="none"),
        token[:-4] + "AAAA",
        "",
        "x",
        "a.b.c",
    ]
    for wrong in forged:
        response = client.get(f"{base}?jwt={wrong}")
        assert response.status_code == 403, wrong
        assert "Nimbus" not in response.content.decode()
    # The same response as for a missing action.
    missing = client.get(f"/actions/ACT-0?jwt={token}")
    assert missing.status_code == 403
    assert missing.content == client.get(f"{base}?jwt=x").content


@pytest.mark.parametrize("exp", ["soon", 1.5e9, -1, 2**60, True, None, [1]])
def test_page_refuses_an_invalid_exp(vendor: Caller, client: Client, exp: object) -> None:
    base = path_of(vendor).partition("?")[0]
    token = jwt.encode({"action_id": "sign_in", "exp": exp}, secret(), algorithm="HS256")
    assert client.get(f"{base}?jwt={token}").status_code == 403


def test_page_refuses_the_token_of_another_action(vendor: Caller, client: Client) -> None:
    token = path_of(vendor).partition("?jwt=")[2]
    response = client.get(f"/actions/ACT-362-917-440-002?jwt={token}")
    assert response.status_code == 403
    assert "another action" in response.content.decode()


def test_link_expires_after_ten_minutes_of_platform_time(vendor: Caller, client: Client) -> None:
    path = path_of(vendor)
    just = action_links.VALID - timedelta(seconds=5)
    with time_machine.travel(clock.now() + just):
        assert client.get(path).status_code == 200
    with time_machine.travel(clock.now() + action_links.VALID + timedelta(seconds=1)):
        response = client.get(path)
        assert response.status_code == 403
        assert re.search(r"It expired at 20[-\d]{8} [:\d]{8} UTC\.", response.content.decode())


def test_link_ends_with_a_new_secret_and_with_its_action(vendor: Caller, client: Client) -> None:
    path = path_of(vendor)
    assert client.get(path).status_code == 200
    vendor.post(f"/products/{SUITE}/actions/regeneratesecret")
    assert client.get(path).status_code == 403
    path = path_of(vendor)
    ProductAction.objects.filter(product=SUITE).delete()
    assert client.get(path).status_code == 403
