"""Links of product actions: the token, the URL, and the secret that signs the token."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from django.test import override_settings

from requests_queue import clock
from requests_queue.catalog import action_links
from requests_queue.catalog.models import Asset, Product, ProductAction
from requests_queue.queues.tier_config.models import TierConfig
from tests import make
from tests.api import Caller, caller, ids, refused

pytestmark = pytest.mark.django_db

SUITE, BACKUP = "PRD-362-917-440", "PRD-814-505-018"
ACTIONS = f"/products/{SUITE}/actions"
SIGN_IN, CONSOLE = f"{ACTIONS}/ACT-362-917-440-001", f"{ACTIONS}/ACT-362-917-440-002"


def secret_of(vendor: Caller, product: str = SUITE) -> str:
    """Regenerate the secret, which is shown only then, and return it."""
    response = vendor.post(f"/products/{product}/actions/regeneratesecret")
    assert response.status == 200, response
    return str(response.json["jwt_secret"])


def token_of(caller: Caller, path: str) -> str:
    """Return the token in the link of a response."""
    response = caller.get(path)
    assert response.status == 200, response
    [token] = parse_qs(urlsplit(response.json["link"]).query)["jwt"]
    return token


def asset_of(vendor: Caller) -> str:
    """Return a subscription of the suite."""
    return ids(vendor, f"/assets?product.id={SUITE}&limit=1")[0]


def test_link_carries_the_documented_claims_for_a_subscription(
    vendor: Caller, distributor: Caller
) -> None:
    secret, asset = secret_of(vendor), asset_of(vendor)
    for party in (vendor, distributor):
        token = token_of(party, f"{SIGN_IN}/actionLink?asset_id={asset}")
        assert jwt.get_unverified_header(token)["alg"] == "HS256"
        # Handlers verify tokens, including `exp`, by real time.
        claims = jwt.decode(token, secret, algorithms=["HS256"])
        exp = claims.pop("exp")
        assert claims == {"action_id": "sign_in", "asset_id": asset}
        assert abs(exp - (clock.now() + action_links.VALID).timestamp()) < 30


def test_link_of_a_tier_action_carries_the_configuration(vendor: Caller) -> None:
    secret = secret_of(vendor)
    config = TierConfig.objects.filter(product=SUITE, tier_level=1).order_by("pk")[0].pk
    token = token_of(vendor, f"{CONSOLE}/actionLink?tier_config_id={config}")
    claims = jwt.decode(token, secret, algorithms=["HS256"])
    claims.pop("exp")
    assert claims == {"action_id": "partner_console", "configuration_id": config}


def test_link_to_an_invalid_object_is_refused(vendor: Caller, other: make.Catalog) -> None:
    backup = ids(vendor, f"/assets?product.id={BACKUP}&limit=1")[0]
    for pk in (backup, Asset.objects.get(product=other.product).pk, "AS-0"):
        message = f"asset_id: Subscription {pk} does not exist."
        refused(vendor.get(f"{SIGN_IN}/actionLink?asset_id={pk}"), 400, message)
    configs = TierConfig.objects.filter(product=SUITE).order_by("-tier_level")
    assert configs[0].tier_level == 2
    for pk in (configs[0].pk, "TC-0"):
        message = f"tier_config_id: Tier 1 configuration {pk} does not exist."
        refused(vendor.get(f"{CONSOLE}/actionLink?tier_config_id={pk}"), 400, message)
    asset = asset_of(vendor)
    for path, scope, expected in (
        (f"{SIGN_IN}/actionLink?tier_config_id=TC-0", "asset", "asset_id"),
        (f"{CONSOLE}/actionLink?asset_id={asset}", "tier1", "tier_config_id"),
    ):
        response = vendor.get(path)
        refused(response, 400)
        assert f"is of scope {scope}: name {expected}." in response.json["errors"][0]
    refused(caller(other.vendor).get(f"{SIGN_IN}/actionLink"), 404)


def test_link_without_an_object_has_no_claim_of_one(vendor: Caller) -> None:
    secret = secret_of(vendor)
    claims = jwt.decode(token_of(vendor, f"{SIGN_IN}/actionLink"), secret, algorithms=["HS256"])
    assert set(claims) == {"action_id", "exp"}


URLS = [
    ("https://a.example.com/aec", "https://a.example.com/aec?jwt={}"),
    ("https://a.example.com/aec?x=1&y=a%20b", "https://a.example.com/aec?x=1&y=a%20b&jwt={}"),
    ("http://127.0.0.1:9000/#/app?tab=1", "http://127.0.0.1:9000/?jwt={}#/app?tab=1"),
    ("https://a.example.com?jwt=old&x=1#top", "https://a.example.com?x=1&jwt={}#top"),
    ("https://a.example.com/?", "https://a.example.com/?jwt={}"),
]


@pytest.mark.parametrize(("url", "expected"), URLS)
def test_token_is_appended_to_the_vendors_own_url(vendor: Caller, url: str, expected: str) -> None:
    changed = vendor.put(SIGN_IN, {"url": url})
    assert (changed.status, changed.json["url"]) == (200, url), changed
    link = vendor.get(f"{SIGN_IN}/actionLink").json["link"]
    [token] = parse_qs(urlsplit(link).query)["jwt"]
    assert link == expected.format(token)
    assert jwt.decode(token, secret_of_product(SUITE), algorithms=["HS256"])


def secret_of_product(pk: str) -> str:
    """Return the secret that is stored."""
    from requests_queue.db import encryption

    return encryption.decrypt(Product.objects.get(pk=pk).stored_action_secret)


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "ftp://a.example.com", "//a.example.com", "a.example.com", "https://",
     "https://u:p@a.example.com", "http://[::1", "http://a:99999/", "http://a b/", ["https://a.b"],
     True, {}, "https://a.example.com/" + "x" * 2000],
)  # fmt: skip
def test_invalid_url_is_refused(vendor: Caller, url: Any) -> None:
    before = vendor.get(SIGN_IN).json
    response = vendor.put(SIGN_IN, {"url": url, "title": "Changed"})
    refused(response, 400)
    assert response.json["errors"][0].startswith("url: ")
    assert vendor.get(SIGN_IN).json == before


def test_url_is_cleared(vendor: Caller, settings: Any) -> None:
    settings.SIM_PUBLIC_URL = "http://localhost:9000"
    vendor.put(SIGN_IN, {"url": "https://a.example.com"})
    assert vendor.put(SIGN_IN, {"url": ""}).json["url"] == ""
    link = vendor.get(f"{SIGN_IN}/actionLink").json["link"]
    assert link.startswith("http://localhost:9000/actions/ACT-362-917-440-001?")


def test_secret_is_replaced_by_the_products_vendor_only(
    vendor: Caller, distributor: Caller, other: make.Catalog
) -> None:
    path = f"{ACTIONS}/regeneratesecret"
    before = secret_of_product(SUITE)
    refused(distributor.post(path), 403, "Only the product's vendor can change it.")
    refused(caller(other.vendor).post(path), 404)
    assert secret_of_product(SUITE) == before
    first, second = secret_of(vendor), secret_of(vendor)
    assert len({before, first, second}) == 3
    assert second == secret_of_product(SUITE)
    token = token_of(vendor, f"{SIGN_IN}/actionLink")
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, first, algorithms=["HS256"])
    assert secret_of(vendor, BACKUP) != second


def test_secret_is_encrypted_and_shown_once(vendor: Caller) -> None:
    secret = secret_of(vendor)
    row = Product.objects.get(pk=SUITE)
    assert secret not in row.stored_action_secret
    assert secret not in repr(row)
    for path in (f"/products/{SUITE}", ACTIONS, SIGN_IN, f"{SIGN_IN}/actionLink"):
        assert secret not in repr(vendor.get(path).json)


def test_each_product_has_a_secret_of_its_own(vendor: Caller) -> None:
    secrets = {secret_of_product(pk) for pk in Product.objects.values_list("pk", flat=True)}
    assert len(secrets) == Product.objects.count()
    created = vendor.post("/products", {"name": "Nimbus Archive", "external_id": "archive"}).json
    assert secret_of_product(created["id"]) not in secrets


def test_secret_of_another_encryption_key_is_reported(vendor: Caller) -> None:
    with override_settings(SIM_ENCRYPTION_KEY="another key, which is long enough to be one"):
        response = vendor.get(f"{SIGN_IN}/actionLink")
        refused(response, 400)
        assert "SIM_ENCRYPTION_KEY" in response.json["errors"][0]
        secret_of(vendor)
        assert vendor.get(f"{SIGN_IN}/actionLink").status == 200
    assert ProductAction.objects.get(pk="ACT-362-917-440-001").action == "sign_in"
