"""A new vendor: the contract of a program, account and key, as connect-playground creates them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from requests_queue.catalog import keys
from requests_queue.catalog.models import Account, ApiToken, AuditEntry, Contract
from requests_queue.seed.accounts import CONTRACT, DISTRIBUTOR_USER, PROVIDER, VENDOR
from tests import make
from tests.api import Caller, caller, ids, refused

pytestmark = pytest.mark.django_db
PARTNER = "Vendor for Playground"
# The bodies of CloudBlue's connect-playground.
NEW = {
    "kind": "production", "activation": {"message": "Playground Contract"},
    "partner": {"name": PARTNER},
    "permissions": {"agreement": {"program": {"create": True}}},
}  # fmt: skip
TOKEN = {"name": "Playground token", "extension": {"id": "EXT-000"}, "description": "For staff."}


@pytest.fixture
def program(distributor: Caller) -> str:
    body = {"title": "Playground Program", "type": "program", "document_type": "none"}
    return str(distributor.post("/agreements", body).json["id"])


@pytest.fixture
def contract(distributor: Caller, program: str) -> Any:
    return distributor.post(f"/agreements/{program}/contracts", NEW).json


def test_program_contract_account_and_key(distributor: Caller, program: str, contract: Any) -> None:
    vendor, pk = contract["partner"]["id"], contract["id"]
    assert (pk[:4], vendor[:3], contract["partner"]["name"]) == ("CRP-", "VA-", PARTNER)
    assert (contract["type"], contract["status"]) == ("program", "pending")
    assert contract["agreement"] == {"id": program, "name": "Playground Program"}
    assert contract["name"] == "Contract of Playground Program"
    [code] = parse_qs(urlsplit(contract["activation"]["link"]).query)["secret"]
    assert code == contract["activation"]["code"]
    users = distributor.get("/users").json
    assert [each["id"] for each in users] == [DISTRIBUTOR_USER]
    assert users == distributor.get(f"/accounts/{PROVIDER}/users").json
    body = {"id": vendor, "name": "Renamed", "contract_id": pk, "code": code, "users": users}
    created = distributor.post(f"/accounts?code={code}", body)
    assert (created.status, created.json["id"], created.json["name"]) == (201, vendor, "Renamed")
    context = distributor.post("/auth/context", {"account": {"id": vendor}})
    assert (context.status, context.json["account"]["id"]) == (201, vendor)
    # Only the next key is for the vendor; this one stays the distributor's.
    assert ids(distributor, "/accounts") == [PROVIDER]
    token = distributor.post("/auth/tokens", TOKEN)
    assert (token.status, token.json["owner"]["id"]) == (201, vendor)
    mine = Caller(f"{token.json['id']}:{token.json['token']}")
    assert ids(mine, "/accounts") == [vendor]
    # An account that the API creates has no brand of its own.
    assert mine.get("/branding/brand").json["id"] == "BR-000"
    shown = mine.get(f"/contracts/{pk}").json
    assert (shown["status"], shown["owner"]["id"]) == ("active", vendor)
    assert shown["events"]["signed"] and "marketplace" not in shown and "activation" not in shown
    assert ids(mine, f"/contracts?agreement.id={program}&like(agreement.name,*Program)") == [pk]
    assert ids(mine, "/agreements") == [program]
    assert ids(mine, "/products") == ids(mine, "/marketplaces") == []
    assert mine.get(f"/contracts/{pk}/versions/1").json["contract"]["id"] == pk
    for path in (f"/agreements/{program}/contracts", "/contracts?type=program"):
        assert distributor.get(path).json == [shown]
    assert distributor.get(f"/agreements/{program}").json["stats"]["contracts"] == 1
    assert [*AuditEntry.objects.values_list("action", "object_type").order_by("pk")][-5:] == [
        ("catalog.create", "agreement"),
        ("catalog.create", "contract of an agreement"),
        ("catalog.create", "account"),
        ("key.edit", "key"),
        ("key.create", "key"),
    ]


def test_code_counts_once(distributor: Caller, contract: Any) -> None:
    body = {"name": PARTNER, "code": contract["activation"]["code"]}
    assert distributor.post("/accounts", body).status == 201
    refused(distributor.post("/accounts", {**body, "name": "Again"}), 400)
    assert Account.objects.get(pk=contract["partner"]["id"]).name == PARTNER


@pytest.mark.parametrize("body", [{}, {"code": None}, {"code": ""}])
def test_code_of_the_query_counts_if_the_body_has_none(
    distributor: Caller, contract: Any, body: Any
) -> None:
    path = f"/accounts?code={contract['activation']['code']}"
    created = distributor.post(path, {"name": PARTNER, **body})
    assert (created.status, created.json["id"]) == (201, contract["partner"]["id"])


def test_vendor_signs_or_rejects_and_the_provider_terminates(
    distributor: Caller, program: str, contract: Any
) -> None:
    partner = caller(Account.objects.get(pk=contract["partner"]["id"]))
    path = f"/contracts/{contract['id']}"
    for name in ("enroll", "refine"):
        refused(distributor.post(f"{path}/{name}"), 400)
    for name, party, stranger in (
        ("sign", partner, distributor),
        ("terminate", distributor, partner),
    ):
        refused(stranger.post(f"{path}/{name}"), 403)
        assert party.post(f"{path}/{name}").status == 200
        refused(party.post(f"{path}/{name}"), 400)
    other = distributor.post(f"/agreements/{program}/contracts", NEW).json
    partner = caller(Account.objects.get(pk=other["partner"]["id"]))
    assert partner.post(f"/contracts/{other['id']}/reject").status == 200
    body = {"name": PARTNER, "code": other["activation"]["code"]}
    refused(distributor.post("/accounts", body), 400)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"partner": None}, "partner: This field is required."),
        ({"partner": {}}, "partner.name: This field is required."),
        ({"partner": {"name": "x" * 65}}, "partner.name: Ensure this field"),
        ({"partner": {"id": VENDOR, "name": "x"}}, "partner.id: Only contracts of new partners"),
        ({"activation": {}}, "activation.message: This field is required."),
        ({"activation": {"message": ["x"]}}, "activation.message: Not a valid string."),
        ({"kind": "other"}, 'kind: "other" is not a valid choice.'),
    ],
)
def test_invalid_contract_creates_nothing(
    distributor: Caller, program: str, body: Any, error: str
) -> None:
    before = Account.objects.count(), Contract.objects.count()
    response = distributor.post(f"/agreements/{program}/contracts", {**NEW, **body})
    assert (response.status, response.json["error_code"]) == (400, "VAL_001")
    assert response.json["errors"][0].startswith(error)
    assert (Account.objects.count(), Contract.objects.count()) == before


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"code": None}, "code: This field is required."),
        ({"code": "CRP-1"}, "code: Contract CRP-1 does not exist."),
        ({"code": CONTRACT}, f"code: Contract {CONTRACT} does not exist."),
        ({"contract_id": CONTRACT}, "contract_id: The code is that of "),
        ({"id": VENDOR}, "id: The code is that of "),
        ({"name": ""}, "name: This field may not be blank."),
        ({"users": [{"id": "UR-426-913-070"}]}, "users.id: User UR-426-913-070 does not exist."),
        ({"users": {}}, "users: Expected a list"),
    ],
)
def test_invalid_account_activates_nothing(
    distributor: Caller, contract: Any, body: Any, error: str
) -> None:
    valid = {"name": PARTNER, "code": contract["activation"]["code"]}
    response = distributor.post("/accounts", {**valid, **body})
    assert (response.status, response.json["error_code"]) == (400, "VAL_001")
    assert response.json["errors"][0].startswith(error)
    assert Contract.objects.get(pk=contract["id"]).status == "pending"


def test_context_is_the_own_account_or_an_active_partner(
    distributor: Caller, contract: Any
) -> None:
    partner = contract["partner"]["id"]
    for pk in (partner, VENDOR, "VA-000-000"):
        message = f"account.id: Account {pk} does not exist."
        refused(distributor.post("/auth/context", {"account": {"id": pk}}), 400, message)
    refused(distributor.post("/auth/context", {}), 400, "account: This field is required.")
    body = {"name": PARTNER, "code": contract["activation"]["code"]}
    distributor.post("/accounts", body)
    assert distributor.post("/auth/context", {"account": {"id": partner}}).status == 201
    distributor.post(f"/contracts/{contract['id']}/terminate")
    message = f"account.id: Account {partner} does not exist."
    refused(distributor.post("/auth/tokens", TOKEN), 400, message)
    # A context that is gone isn't the own account.
    Account.objects.filter(pk=partner).delete()
    refused(distributor.post("/auth/tokens", TOKEN), 400, message)
    own = {"account": {"id": PROVIDER}}
    assert distributor.post("/auth/context", own).json["account"]["id"] == PROVIDER
    assert distributor.post("/auth/tokens", TOKEN).json["owner"]["id"] == PROVIDER


def test_new_key_has_the_modules_of_the_key_that_creates_it(catalog: make.Catalog) -> None:
    key = "SU-777-000-001:the-secret-of-a-key"
    keys.store(catalog.vendor, key, "Extension", modules=["Account"])
    created = Caller(key).post("/auth/tokens", {**TOKEN, "expiration_date": "2099-01-31"}).json
    row = ApiToken.objects.get(user__uid=created["id"])
    assert (row.modules, row.user.account) == (["Account"], catalog.vendor)
    assert created["expiration_date"] == "2099-01-31T00:00:00+00:00"
    assert (created["description"], created["extension"]) == ("For staff.", {"id": "EXT-000"})
    refused(Caller(f"{created['id']}:{created['token']}").get("/products"), 403)


@pytest.mark.parametrize(
    ("own", "wanted", "expires"),
    [(0, 0, 0), (0, 2099, 2099), (2099, 0, 2099), (2099, 2098, 2098), (2098, 2099, 2098)],
)
def test_new_key_does_not_outlive_the_key_that_creates_it(
    catalog: make.Catalog, own: int, wanted: int, expires: int
) -> None:
    """Each is the year in which a key expires, 0 for never."""
    key = "SU-777-000-001:the-secret-of-a-key"
    keys.store(
        catalog.vendor, key, "Own", expires=datetime(own, 1, 31, tzinfo=UTC) if own else None
    )
    more = {"expiration_date": f"{wanted}-01-31"} if wanted else {}
    created = Caller(key).post("/auth/tokens", {**TOKEN, **more}).json
    row = ApiToken.objects.get(user__uid=created["id"])
    assert row.expires == (datetime(expires, 1, 31, tzinfo=UTC) if expires else None)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"name": ""}, "name: This field may not be blank."),
        ({"extension": None}, "extension: This field is required."),
        ({"extension": "EXT-000"}, "extension: Expected an object."),
        ({"owner": {"id": VENDOR}}, f"owner.id: The context of this key is {PROVIDER}"),
        ({"expiration_date": "2020-01-01"}, "expiration_date: The expiry is in the past."),
        ({"expiration_date": 1}, "expiration_date: Not a valid date."),
    ],
)
def test_invalid_token_creates_no_key(distributor: Caller, body: Any, error: str) -> None:
    before = ApiToken.objects.count()
    response = distributor.post("/auth/tokens", {**TOKEN, **body})
    assert (response.status, response.json["error_code"]) == (400, "VAL_001")
    assert response.json["errors"][0].startswith(error)
    assert ApiToken.objects.count() == before


@pytest.mark.parametrize(
    "call",
    [
        lambda party, contract: party.post("/accounts", {"name": "x", "code": contract["id"]}),
        lambda party, contract: party.post(
            f"/agreements/{contract['agreement']['id']}/contracts", NEW
        ),
        lambda party, contract: party.get(f"/contracts/{contract['id']}"),
    ],
)
def test_contract_is_for_its_parties_only(
    vendor: Caller, other: make.Catalog, contract: Any, call: Callable[..., Any]
) -> None:
    for stranger in (vendor, caller(other.vendor), caller(other.provider)):
        assert call(stranger, contract).status in (400, 403, 404)
    assert Contract.objects.get(pk=contract["id"]).status == "pending"
    assert Contract.objects.filter(type="program").count() == 1


def test_nothing_is_listed_under_a_program_contract(distributor: Caller, contract: Any) -> None:
    pk = contract["id"]
    partner = caller(Account.objects.get(pk=contract["partner"]["id"]))
    product = partner.post("/products", {"name": "First"}).json["id"]
    partner.post(f"/products/{product}/versions", {"public": True})
    body = {"type": "new", "product_id": product, "contract_id": pk}
    message = f"contract_id: Contract {pk} does not exist."
    refused(partner.post("/listing-requests", body), 400, message)
    body = {"name": "Usage", "product": {"id": product}, "contract": {"id": pk}}
    refused(partner.post("/usage/files", body), 400, f"contract.id: Contract {pk} does not exist.")
    # Contracts for marketplaces aren't created from agreements.
    refused(distributor.post("/agreements/AGD-000-040-117/contracts", NEW), 400)
    assert CONTRACT in ids(distributor, "/agreements/AGD-000-040-117/contracts")
