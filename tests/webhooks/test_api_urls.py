"""URLs of webhooks in the API."""

from __future__ import annotations

import socket

import pytest

from tests.api import Caller, refused
from tests.contract.calls import WEBHOOK
from webhooks.models import Webhook

pytestmark = pytest.mark.django_db

HOOKS = "/notifications/webhooks"
METADATA = (
    "external_url: 169.254.169.254 cannot be called: it is a link-local address, where cloud "
    "metadata services answer (169.254.0.0/16). No setting allows that."
)


def test_forbidden_address_is_refused(vendor: Caller) -> None:
    pk = vendor.post(HOOKS, WEBHOOK).json["id"]
    for url in (
        "http://169.254.169.254/latest/",
        "http://0xa9.0xfe.0xa9.0xfe/",
        "http://2852039166",
    ):
        refused(vendor.post(HOOKS, {**WEBHOOK, "external_url": url}), 400, METADATA)
        response = vendor.put(f"{HOOKS}/{pk}", {"external_url": url, "label": "New"})
        refused(response, 400, METADATA)
    response = vendor.post(HOOKS, {**WEBHOOK, "external_url": "http://[ff02::1]/", "label": ""})
    assert [error.partition(":")[0] for error in response.json["errors"]] == [
        "label",
        "external_url",
    ]
    assert Webhook.objects.get(pk=pk).label == WEBHOOK["label"]


def test_other_fields_of_webhook_with_forbidden_url_can_be_changed(vendor: Caller) -> None:
    created = vendor.post(HOOKS, WEBHOOK).json
    Webhook.objects.filter(pk=created["id"]).update(external_url="http://169.254.169.254/")
    path = f"{HOOKS}/{created['id']}"
    assert vendor.put(path, {"label": "Renamed"}).status == 200
    # Clients send the whole object back.
    whole = vendor.get(path).json
    response = vendor.put(path, {**whole, "active": False})
    assert (response.status, response.json["active"]) == (200, False)
    refused(vendor.put(path, {"external_url": "http://169.254.169.253/"}), 400)
    assert vendor.put(path, {"external_url": "https://hooks.example.com/"}).status == 200


def test_host_names_are_not_resolved(vendor: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*args: object, **kwargs: object) -> None:
        raise AssertionError("A name was looked up.")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket, "gethostbyname", look_up)
    for host in ("hooks.example.com", "localhost", "metadata.google.internal"):
        response = vendor.post(HOOKS, {**WEBHOOK, "external_url": f"https://{host}/"})
        assert response.status == 201, response
