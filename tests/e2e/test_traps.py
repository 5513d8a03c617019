"""Details of HTTP and JSON on which published clients depend."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jwt
import pytest

from tests import orders
from tests.e2e import wire
from tests.handlers import Handler
from tests.make import CONTACT
from tests.processes import Sandbox

PLAIN, METER = orders.PLAIN, "PRD-590-284-731"
CONNECTION = "CT-2044-1187-9002"
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")


@pytest.fixture
def hook(running: Sandbox, served: Handler) -> Iterator[dict[str, Any]]:
    webhook = orders.webhook(running, served.url)
    yield webhook
    running.as_vendor("DELETE", f"/notifications/webhooks/{webhook['id']}")


def order_body(**asset: Any) -> dict[str, Any]:
    tier = {"name": "Harbour Cafe", "contact_info": CONTACT}
    return {
        "type": "purchase",
        "asset": {
            "connection": {"id": CONNECTION},
            "items": [{"id": f"{PLAIN}-0001", "quantity": 5}],
            "tiers": {"customer": tier, "tier1": tier},
            **asset,
        },
    }


def ready(running: Sandbox) -> str:
    """Return a new request that can be approved."""
    request = str(orders.purchase(running)["id"])
    params = [{"id": "activation_id", "value": f"activated-{request}"}]
    running.as_vendor("PUT", f"/requests/{request}", {"asset": {"params": params}})
    return request


# 1


def test_trap_1_token_is_in_both_headers(
    served: Handler, hook: dict[str, Any], running: Sandbox
) -> None:
    orders.purchase(running)
    headers = served.next().headers
    assert headers["Authentication"] == headers["Authorization"]
    scheme, _, token = headers["Authentication"].partition(" ")
    assert scheme == "Bearer"
    claims = jwt.decode(token, orders.SECRET, algorithms=["HS256"])
    assert claims["webhook_id"] == hook["id"]
    # A client requests f"{api_url}/requests".
    assert claims["api_url"] == f"{running.url}/public/v1"


# 2


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [
        ("GET", "/public/v1/requests/PR-1", b"", 404),
        ("GET", "/public/v1/nowhere", b"", 404),
        ("GET", "/public/v1/requests?color=red", b"", 400),
        ("POST", "/public/v1/requests", b"{", 400),
        ("POST", "/public/v1/requests", b"[]", 400),
        ("POST", "/public/v1/requests", b'{"type": "adjustment"}', 400),
        ("POST", "/public/v1/requests", b'{"type": "purchase"}', 403),
        ("DELETE", "/public/v1/requests", b"", 405),
        ("PATCH", "/public/v1/requests/PR-5810-2277-4093-001", b"{}", 405),
        ("GET", "/public", b"", 404),
        ("GET", "/public/v1/requests/%00", b"", 400),
        ("GET", "/sandbox/nowhere", b"", 404),
        ("POST", "/sandbox/clock/advance", b"{}", 400),
        ("POST", "/public/v1/requests", b'{"a": "' + b"x" * 5_000_000 + b'"}', 413),
    ],
)
def test_trap_2_and_5_error_is_json_in_the_envelope(
    running: Sandbox, method: str, target: str, body: bytes, status: int
) -> None:
    """The JavaScript SDK needs exactly this content type, openapi-client both keys."""
    response = wire.send(running, method, target, body, Content_Type="application/json")
    assert response.status == status
    assert response.headers["content-type"] == "application/json"
    ours = {"hint", "retryable"} if target.startswith("/sandbox/") else set()
    assert set(response.json) <= {"error_code", "errors", "params", *ours}
    assert re.fullmatch(r"[A-Z]+_\d{3}", response.json["error_code"])
    assert response.json["errors"]
    assert all(isinstance(text, str) and text for text in response.json["errors"])


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "ApiKey",
        "ApiKey SU-000-000-000:nobody00",
        "Basic YTpi",
        "garbage",
        "ApiKey  a b:c",
    ],
)
@pytest.mark.parametrize("target", ["/requests", "/nowhere", "/notifications/webhooks/x/trigger"])
def test_trap_5_invalid_key_gets_401_in_the_envelope(
    running: Sandbox, authorization: str | None, target: str
) -> None:
    response = wire.get(running, target, Authorization=authorization)
    assert response.status == 401
    assert response.headers["content-type"] == "application/json"
    assert response.json == {"error_code": "AUTH_001", "errors": ["API request is unauthorized."]}


def test_trap_2_empty_response_has_no_json_content_type(
    running: Sandbox, hook: dict[str, Any]
) -> None:
    """openapi-client decodes every JSON response, and fails for an empty one."""
    path = f"/notifications/webhooks/{hook['id']}"
    triggered = wire.post(running, f"{path}/trigger")
    assert (triggered.status, triggered.body) == (200, b"")
    assert "json" not in triggered.headers.get("content-type", "")


def test_trap_2_delete_returns_204_without_body(running: Sandbox, served: Handler) -> None:
    webhook = orders.webhook(running, served.url)
    response = wire.send(running, "DELETE", f"/public/v1/notifications/webhooks/{webhook['id']}")
    assert (response.status, response.body) == (204, b"")
    assert "json" not in response.headers.get("content-type", "")


# 3


def test_trap_3_default_page_has_a_hundred_rows(running: Sandbox) -> None:
    def total() -> int:
        counted = wire.get(running, "/requests?limit=0")
        return int(counted.headers["content-range"].partition("/")[2])

    for _ in range(101 - total()):
        wire.post(running, "/requests", order_body(), key=running.provider_key)
    rows = total()
    page = wire.get(running, "/requests")
    assert (len(page.json), page.headers["content-range"]) == (100, f"items 0-99/{rows}")
    # A limit above one thousand is no error; the header has the actual range.
    whole = wire.get(running, "/requests?limit=100000")
    assert (len(whole.json), whole.headers["content-range"]) == (rows, f"items 0-{rows - 1}/{rows}")


# 4


@pytest.mark.parametrize(
    "target",
    ["/public/v1/requests/", "/public/v1/assets/?limit=1", "/public/v1/notifications/webhooks/",
     f"/public/v1/products/{PLAIN}/",
     # connect-sdk 22 has these two hard-coded, at exactly /public/v1.
     f"/public/v1/products/{PLAIN}/parameters/", f"/public/v1/products/{PLAIN}/templates/",
     # By ConnectClient(endpoint="…/public/v1/").
     "/public/v1//requests", "/public/v1//products//" + PLAIN, "/public/v1/requests//",
     "//public/v1/requests?limit=1"],
)  # fmt: skip
def test_trap_4_slashes_are_ignored(running: Sandbox, target: str) -> None:
    plain = re.sub("/+", "/", target).replace("/?", "?").rstrip("/")
    slashed = wire.send(running, "GET", target)
    assert slashed.status == 200
    assert slashed.json == wire.send(running, "GET", plain).json


def test_trap_4_post_with_trailing_slash_is_not_redirected(running: Sandbox) -> None:
    created = wire.post(running, "/requests/", order_body(), key=running.provider_key)
    assert created.status == 201
    path = f"/requests/{created.json['id']}"
    params = [{"id": "activation_id", "value": "a-1"}]
    changed = wire.put(running, f"{path}/", {"asset": {"params": params}})
    assert changed.status == 200
    approved = wire.post(running, f"{path}/approve/", {"template_id": "TL-213-870-001"})
    assert (approved.status, approved.json["status"]) == (200, "approved")


# 6


def stamps(value: Any) -> Iterator[str]:
    """Yield every string of a JSON value that looks like a date."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from stamps(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from stamps(inner)
    elif isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value):
        yield value


@pytest.mark.parametrize(
    "target",
    ["/requests", "/assets", "/products", "/accounts", "/notifications/webhooks",
     f"/products/{PLAIN}/items"],
)  # fmt: skip
def test_trap_6_no_list_has_microseconds_or_z(
    running: Sandbox, served: Handler, hook: dict[str, Any], target: str
) -> None:
    orders.purchase(running)
    orders.until_stats(running, hook["id"], success_triggers=1)
    dates = list(stamps(wire.get(running, f"{target}?limit=1000").json))
    assert dates
    assert [text for text in dates if not STAMP.fullmatch(text)] == []


# 7

BODILESS = {
    "nothing": (b"", {}),
    "no length": (b"", {"Content_Length": None}),
    "nothing, called JSON": (b"", {"Content_Type": "application/json"}),
    "null": (b"null", {"Content_Type": "application/json"}),
    "an empty object": (b"{}", {"Content_Type": "application/json"}),
    "blanks": (b" \r\n", {"Content_Type": "application/json"}),
    "an empty object of no type": (b"{}", {}),
}


@pytest.mark.parametrize("kind", BODILESS)
def test_trap_7_action_requires_no_body(running: Sandbox, kind: str) -> None:
    body, headers = BODILESS[kind]
    response = wire.post(running, f"/requests/{ready(running)}/approve", body, **headers)
    assert (response.status, response.json["status"]) == (200, "approved")
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize("kind", BODILESS)
def test_trap_7_put_requires_no_body(running: Sandbox, hook: dict[str, Any], kind: str) -> None:
    body, headers = BODILESS[kind]
    path = f"/notifications/webhooks/{hook['id']}"
    response = wire.put(running, path, body, **headers)
    assert response.status == 200
    assert response.json["label"] == hook["label"]
    request = orders.purchase(running)
    assert wire.put(running, f"/requests/{request['id']}", body, **headers).status == 200


@pytest.mark.parametrize(
    "content_type",
    [None, "application/json", "application/json; charset=utf-8", "text/plain",
     "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"],
)  # fmt: skip
def test_trap_7_body_is_json_with_any_content_type(
    running: Sandbox, content_type: str | None
) -> None:
    body = json.dumps({"note": "Füllen"}, ensure_ascii=False).encode()
    path = f"/requests/{orders.purchase(running)['id']}"
    response = wire.put(running, path, body, Content_Type=content_type)
    assert (response.status, response.json["note"]) == (200, "Füllen")


def test_trap_7_get_may_have_a_json_content_type(running: Sandbox) -> None:
    """connect-sdk 22 and the Haxe port do, on every call."""
    response = wire.get(
        running, "/requests?limit=1", Content_Type="application/json", Content_Length="0"
    )
    assert (response.status, len(response.json)) == (200, 1)


def test_trap_7_mulesoft_enables_a_webhook_by_partial_put(
    running: Sandbox, hook: dict[str, Any]
) -> None:
    """The client sends `type: event` for every type, and neither product nor class."""
    path = f"/notifications/webhooks/{hook['id']}"
    for active in (False, True):
        body = {
            "id": hook["id"],
            "active": active,
            "type": "event",
            "http_method": "POST",
            "data": {},
            "headers": {},
        }
        response = wire.put(running, path, body, User_Agent="Mulesoft Extension")
        names = ("label", "external_url", "jwt_secret", "product", "object_class", "type")
        expected = {"active": active, **{name: hook[name] for name in names}}
        assert response.status == 200
        assert response.json.items() >= expected.items()


@pytest.mark.parametrize("name", ["type", "object_class", "product_id"])
def test_trap_7_immutable_fields_are_ignored(
    running: Sandbox, hook: dict[str, Any], name: str
) -> None:
    other = {"type": "validator", "object_class": "usage_file", "product_id": METER}[name]
    response = wire.put(running, f"/notifications/webhooks/{hook['id']}", {name: other})
    assert response.status == 200
    for same in ("product", "type", "object_class"):
        assert response.json[same] == hook[same]


def test_trap_7_read_only_fields_of_a_purchase_are_ignored(running: Sandbox) -> None:
    """The testing library sends whole objects."""
    parameter = {
        "id": "region",
        "value": "eu",
        "title": "Ours",
        "type": "password",
        "phase": "ordering",
        "constraints": {"required": True},
        "value_choices": [],
        "structured_value": "",
    }
    body = order_body(
        id="AS-1",
        status="active",
        external_id="100245",
        external_uid="uid-of-the-testing-library",
        product={"id": PLAIN, "name": "Ours", "status": "draft"},
        connection={"id": CONNECTION, "type": "preview", "hub": {"id": "HB-1"}},
        configuration={"params": []},
        params=[parameter],
        events={},
        contract={"id": "CRD-1"},
    )
    body |= {
        "id": "PR-1",
        "status": "pending",
        "created": "2000-01-01",
        "reason": "x",
        "marketplace": {"id": "MP-40117", "name": "Ours"},
        "note": "A test.",
    }
    created = wire.post(running, "/requests", body, key=running.provider_key)
    assert created.status == 201
    request = created.json
    assert (request["status"], request["note"], request["reason"]) == ("pending", "A test.", "")
    assert request["id"] != "PR-1" and request["created"] > "2026"
    asset = request["asset"]
    assert (asset["status"], asset["external_id"]) == ("processing", "100245")
    assert asset["product"]["name"] == "Nimbus Backup"
    region = next(p for p in asset["params"] if p["id"] == "region")
    assert (region["value"], region["type"], region["title"]) == ("eu", "dropdown", "Data region")


# 9


@pytest.mark.parametrize(
    ("quantity", "shown"), [(5, "5"), ("5", "5"), (5.0, "5"), ("5.0", "5"), (100, "100"), (0, "0")]
)
def test_trap_9_quantities_may_be_numbers_or_strings(
    running: Sandbox, quantity: Any, shown: str
) -> None:
    items = [{"id": f"{PLAIN}-0001", "quantity": quantity}]
    created = wire.post(running, "/requests", order_body(items=items), key=running.provider_key)
    assert created.status == 201
    item = created.json["asset"]["items"][0]
    assert (item["quantity"], item["old_quantity"]) == (shown, "0")


@pytest.mark.parametrize(
    "named",
    [{"id": f"{PLAIN}-0001"}, {"global_id": f"{PLAIN}-0001"}, {"mpn": "NB-SEAT"},
     {"id": "SKU_SEAT"}],
    ids=str,
)  # fmt: skip
def test_trap_9_items_are_identified_as_clients_do(running: Sandbox, named: dict[str, str]) -> None:
    items = [{**named, "quantity": 1}]
    created = wire.post(running, "/requests", order_body(items=items), key=running.provider_key)
    assert created.status == 201
    assert created.json["asset"]["items"][0]["global_id"] == f"{PLAIN}-0001"


# Other requests and expectations of clients.


@pytest.mark.parametrize(
    "scheme", ["ApiKey {}", "apikey {}", "  ApiKey {}  ", "ApiKey   {}"], ids=str
)
def test_key_is_accepted_as_clients_send_it(running: Sandbox, scheme: str) -> None:
    authorization = scheme.format(running.vendor_key)
    assert wire.get(running, "/requests?limit=1", Authorization=authorization).status == 200


def test_unknown_headers_are_ignored(running: Sandbox) -> None:
    response = wire.get(
        running,
        "/requests?limit=1",
        Accept="text/html, image/gif; q=.2",
        User_Agent="connect-fluent/35.0 CPython/3.11 Linux/6",
        Request_ID="api-request-61",
        Accept_Language="xx",
        Cookie="sessionid=nonsense; a",
        If_None_Match='"x"',
    )
    assert response.status == 200
    assert response.headers["content-type"] == "application/json"


def test_parameters_keep_their_order(running: Sandbox) -> None:
    """The testing library compares them by position."""
    request = orders.purchase(running)
    before = [p["id"] for p in request["asset"]["params"]]
    sent = [{"id": name, "value": ""} for name in reversed(before)]
    sent[0]["value"] = "https://console.example.com"
    response = wire.put(running, f"/requests/{request['id']}", {"asset": {"params": sent}})
    assert [p["id"] for p in response.json["asset"]["params"]] == before
