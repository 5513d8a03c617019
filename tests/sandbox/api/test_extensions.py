"""`/sandbox/extensions`: make and list extensions, for the caller's account."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from extensions import tls
from extensions.models import Extension, Installation
from tests import make
from tests.api import Caller, caller, refused
from tests.sandbox.calling import catalog, client

__all__ = ["catalog", "client"]

PATH = "/sandbox/extensions"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _port(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> None:
    settings.SIM_DATA_DIR = tmp_path
    monkeypatch.setattr(tls, "opener", lambda: 8443)


def test_extension_is_made_with_what_its_runner_needs(
    client: Caller, catalog: make.Catalog, tmp_path: Path
) -> None:
    made = client.post(PATH, {"name": "Mine", "products": [catalog.product.pk]}).json
    assert made["variables"] == {
        "ENVIRONMENT_ID": made["environment"],
        "SERVER_ADDRESS": "127.0.0.1:8443",
        "SSL_CERT_FILE": str(tmp_path / "tls" / "bundle.pem"),
        "REQUESTS_CA_BUNDLE": str(tmp_path / "tls" / "bundle.pem"),
    }
    assert [each["id"] for each in made["products"]] == [catalog.product.pk]
    assert len(made["installations"]) == 1
    other = client.post(PATH, {}).json
    assert (other["name"], other["type"], other["products"]) == ("Extension", "products", [])
    assert {each["id"] for each in client.get(PATH).json} == {made["id"], other["id"]}
    assert caller(catalog.provider).get(PATH).json == []


def test_extension_of_several_accounts_is_installed_for_all(
    client: Caller, catalog: make.Catalog
) -> None:
    made = client.post(PATH, {"type": "multiaccount"}).json
    installed = Installation.objects.filter(pk__in=made["installations"])
    assert {each.account_id for each in installed} == {catalog.vendor.pk, catalog.provider.pk}
    body = {"type": "multiaccount", "accounts": [catalog.vendor.pk]}
    [pk] = client.post(PATH, body).json["installations"]
    assert Installation.objects.get(pk=pk).account == catalog.vendor


@pytest.mark.parametrize(
    "body",
    [
        {"products": ["PRD-999-999-999"]},
        {"products": "PRD-999-999-999"},
        {"products": [None]},
        {"accounts": [None]},
        {"type": "transformations"},
        {"name": 1},
        {"type": "multiaccount", "accounts": ["VA-999-999"]},
        {"accounts": ["PA-999-999"]},
        {"nothing": 1},
    ],
)
def test_invalid_extension_is_refused(client: Caller, body: Any) -> None:
    refused(client.post(PATH, body), 400)
    assert not Extension.objects.exists()


def test_products_are_chosen_anew(client: Caller, catalog: make.Catalog) -> None:
    path = f"{PATH}/{client.post(PATH, {}).json['id']}"
    for chosen in ([catalog.product.pk], []):
        changed = client.put(path, {"products": chosen}).json
        assert [each["id"] for each in changed["products"]] == chosen
    client.put(path, {"products": [catalog.product.pk]})
    for body in ({}, *({"products": each} for each in (None, [None], ["PRD-999-999-999"]))):
        refused(client.put(path, body), 400)
    refused(caller(catalog.provider).put(path, {"products": []}), 404)
    assert Extension.objects.get().products.get() == catalog.product


def test_other_processes_have_no_port(client: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    client.post(PATH, {})
    monkeypatch.setattr(tls, "opener", None)
    refused(client.get(PATH), 400)
    refused(client.post(PATH, {}), 400)
    # Nothing half-done.
    assert Extension.objects.count() == 1
