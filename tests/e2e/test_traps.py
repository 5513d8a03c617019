"""Details of the API on which published clients depend: a test for every trap."""

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
    assert set(response.json) <= {"error_code", "errors", "params"}
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


def test_trap_2_action_returns_the_object(running: Sandbox) -> None:
    response = wire.post(running, f"/requests/{ready(running)}/approve", b"")
    assert response.status == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json["status"] == "approved"


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


@pytest.mark.parametrize("target", ["/requests", "/assets", "/products", "/accounts",
                                    "/notifications/webhooks", f"/products/{PLAIN}/items",
                                    f"/products/{PLAIN}/templates"])  # fmt: skip
def test_trap_3_every_list_has_a_content_range(
    running: Sandbox, hook: dict[str, Any], target: str
) -> None:
    whole = wire.get(running, f"{target}?limit=1000")
    rows = len(whole.json)
    assert rows > 0
    assert whole.headers["content-range"] == f"items 0-{rows - 1}/{rows}"
    counted = wire.get(running, f"{target}?limit=0&offset=0")
    assert (counted.json, counted.headers["content-range"]) == ([], f"items 0-0/{rows}")
    nothing = wire.get(running, f"{target}?eq(id,NOTHING-LIKE-THIS)&limit=100&offset=0")
    assert (nothing.json, nothing.headers["content-range"]) == ([], "items 0-0/0")
    beyond = wire.get(running, f"{target}?limit=10&offset=5000")
    assert (beyond.json, beyond.headers["content-range"]) == ([], f"items 0-0/{rows}")
    one = wire.get(running, f"{target}?limit=1&offset={rows - 1}")
    assert (len(one.json), one.headers["content-range"]) == (
        1,
        f"items {rows - 1}-{rows - 1}/{rows}",
    )


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
    ["/requests/", "/assets/?limit=1", "/notifications/webhooks/", f"/products/{PLAIN}/",
     # connect-sdk 22 has these two hard-coded, at exactly /public/v1.
     f"/products/{PLAIN}/parameters/", f"/products/{PLAIN}/templates/",
     "//requests", "//products//" + PLAIN, "/requests//"],
)  # fmt: skip
def test_trap_4_slashes_are_ignored(running: Sandbox, target: str) -> None:
    plain = re.sub("/+", "/", target).replace("/?", "?").rstrip("/")
    slashed = wire.get(running, target)
    assert slashed.status == 200
    assert slashed.json == wire.get(running, plain).json


def test_trap_4_endpoint_with_trailing_slash(running: Sandbox) -> None:
    """ConnectClient(endpoint="…/public/v1/") requests /public/v1//requests."""
    response = wire.send(running, "GET", "/public/v1//requests?limit=1")
    assert (response.status, len(response.json)) == (200, 1)
    assert wire.send(running, "GET", "//public/v1/requests?limit=1").status == 200


def test_trap_4_post_with_trailing_slash_is_not_redirected(running: Sandbox) -> None:
    created = wire.post(running, "/requests/", order_body(), key=running.provider_key)
    assert created.status == 201
    path = f"/requests/{created.json['id']}"
    params = [{"id": "activation_id", "value": "a-1"}]
    changed = wire.put(running, f"{path}/", {"asset": {"params": params}})
    assert changed.status == 200
    approved = wire.post(running, f"{path}/approve/", {"template_id": "TL-213-870-001"})
    assert (approved.status, approved.json["status"]) == (200, "approved")


def test_trap_4_a_webhook_with_slashes(running: Sandbox, served: Handler) -> None:
    body = {
        "label": "Slashed",
        "product_id": PLAIN,
        "object_class": "fulfillment_request",
        "external_url": served.url,
        "jwt_secret": orders.SECRET,
    }
    created = wire.post(running, "/notifications/webhooks/", body)
    assert created.status == 201
    path = f"/notifications/webhooks/{created.json['id']}/"
    assert wire.post(running, f"{path}trigger/").status == 200
    assert wire.put(running, path, {"label": "Still"}).json["label"] == "Still"
    assert wire.send(running, "DELETE", f"/public/v1{path}").status == 204


# 5


def test_trap_5_field_errors_are_strings(running: Sandbox) -> None:
    response = wire.post(running, "/notifications/webhooks", {"label": "", "http_method": "PUT"})
    assert response.status == 400
    assert response.json["error_code"] == "VAL_001"
    assert all(re.match(r"[a-z_.]+: \S", text) for text in response.json["errors"])


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


@pytest.mark.parametrize(
    "date",
    ["2031-01-02T03:04:05Z", "2031-01-02T03:04:05.000Z", "2031-01-02T03:04:05.678901+00:00",
     "2031-01-02T05:04:05+02:00", "2031-01-02T03:04:05"],
)  # fmt: skip
def test_trap_6_dates_of_the_client_are_normalized(running: Sandbox, date: str) -> None:
    request = orders.purchase(running)["id"]
    response = wire.post(running, f"/requests/{request}/schedule", {"planned_date": date})
    assert response.json["planned_date"] == "2031-01-02T03:04:05+00:00"


def test_trap_6_dates_in_payloads_are_normalized(
    running: Sandbox, served: Handler, hook: dict[str, Any]
) -> None:
    orders.purchase(running)
    assert STAMP.fullmatch(served.next().json["triggered_at"])
    orders.until_stats(running, hook["id"], success_triggers=1)
    orders.purchase(running)
    assert STAMP.fullmatch(served.next().json["last_success_at"])


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


def test_trap_7_zapier_creates_a_webhook_without_type(running: Sandbox, served: Handler) -> None:
    body = {
        "label": "[Zap-90211] Orders",
        "product_id": PLAIN,
        "object_class": "fulfillment_request",
        "external_url": served.url,
        "jwt_secret": "JWT-7d9c3b52-6d0f-4f7e-9f5a-2f1f0e6a0a11",
        "active": True,
        "description": "[Zap-90211] Orders",
        "http_method": "POST",
        "data": {},
        "headers": {"Content-Type": "application/json"},
    }
    created = wire.post(running, "/notifications/webhooks", body)
    assert created.status == 201
    assert created.json["type"] == "event"
    assert created.json["product"]["id"] == PLAIN
    sent = {k: v for k, v in body.items() if k != "product_id"}
    assert {name: created.json[name] for name in sent} == sent
    path = f"/notifications/webhooks/{created.json['id']}"
    assert wire.post(running, f"{path}/trigger").status == 200
    call = served.next()
    assert call.headers["Content-Type"] == "application/json"
    assert len(call.json) == 11
    assert wire.send(running, "DELETE", f"/public/v1{path}").status == 204


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
        assert response.status == 200
        assert response.json["active"] is active
        for name in ("label", "external_url", "jwt_secret", "product", "object_class", "type"):
            assert response.json[name] == hook[name]


@pytest.mark.parametrize("name", ["type", "object_class", "product_id"])
def test_trap_7_immutable_fields_are_ignored(
    running: Sandbox, hook: dict[str, Any], name: str
) -> None:
    other = {"type": "validator", "object_class": "usage_file", "product_id": METER}[name]
    response = wire.put(running, f"/notifications/webhooks/{hook['id']}", {name: other})
    assert response.status == 200
    assert response.json["product"] == hook["product"]
    assert (response.json["type"], response.json["object_class"]) == (
        "event",
        "fulfillment_request",
    )


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
    assert request["id"] != "PR-1"
    assert request["created"] > "2026"
    asset = request["asset"]
    assert (asset["status"], asset["external_id"]) == ("processing", "100245")
    assert asset["product"]["name"] == "Nimbus Backup"
    region = next(p for p in asset["params"] if p["id"] == "region")
    assert (region["value"], region["type"], region["title"]) == ("eu", "dropdown", "Data region")


# 8


def test_trap_8_brackets_commas_bars_and_pluses_are_preserved(running: Sandbox) -> None:
    """Form decoding would change this one; test_queries has all forms."""
    rows = wire.get(running, "/requests?ordering(created)&limit=1000").json
    moment = rows[10]["created"]
    query = f"?((status=pending)|(status=approved))&ge(created,{moment})&in(type,(purchase,change))"
    expected = {
        row["id"]
        for row in rows
        if row["status"] in ("pending", "approved")
        and row["created"] >= moment
        and row["type"] in ("purchase", "change")
    }
    assert set(wire.get(running, f"/requests{query}&limit=1000").ids) == expected
    assert 0 < len(expected) < len(rows)


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


# 10


def test_trap_10_repeated_purchase_is_a_conflict(running: Sandbox) -> None:
    """Clients repeat a POST without a response, or after a 500."""
    body = order_body(external_uid="uid-of-a-repeated-purchase")
    first = wire.post(running, "/requests", body, key=running.provider_key)
    again = wire.post(running, "/requests", body, key=running.provider_key)
    assert (first.status, again.status) == (201, 409)
    assert again.headers["content-type"] == "application/json"
    params = again.json["params"]
    assert params["request_id"] == first.json["id"]
    assert (params["request_status"], params["asset_id"]) == ("pending", first.json["asset"]["id"])
    assert params["asset_status"] == "processing"
    query = "?asset.external_uid=uid-of-a-repeated-purchase"
    assert wire.get(running, f"/requests{query}").ids == [first.json["id"]]


def test_trap_10_repeated_action_is_refused_without_event(
    running: Sandbox, hook: dict[str, Any]
) -> None:
    request = ready(running)
    responses = [wire.post(running, f"/requests/{request}/approve") for _ in range(3)]
    assert [response.status for response in responses] == [200, 400, 400]
    assert responses[1].json["error_code"] == "REQ_003"
    orders.until_stats(running, hook["id"], events=2, success_triggers=2)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "http://no-such-host.invalid/", "http://127.0.0.1:9/%00?a=b"]
)
def test_trap_10_failing_handler_does_not_fail_the_order(running: Sandbox, url: str) -> None:
    webhook = orders.webhook(running, url)
    try:
        response = wire.post(running, "/requests", order_body(), key=running.provider_key)
        assert response.status == 201
        orders.until_stats(running, webhook["id"], events=1, failure_triggers=1)
    finally:
        running.as_vendor("DELETE", f"/notifications/webhooks/{webhook['id']}")


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


def test_other_names_of_this_machine_are_accepted(running: Sandbox) -> None:
    port = running.url.rpartition(":")[2]
    assert wire.get(running, "/requests?limit=1", host=f"localhost:{port}").status == 200
    other = wire.get(running, "/requests?limit=1", host="elsewhere.example.com")
    assert (other.status, other.headers["content-type"]) == (400, "application/json")


def test_create_returns_201_with_the_object(running: Sandbox) -> None:
    created = wire.post(running, "/requests", order_body(), key=running.provider_key)
    assert created.status == 201
    assert created.json == wire.get(running, f"/requests/{created.json['id']}").json


def test_empty_structured_value_is_accepted(running: Sandbox) -> None:
    """connect-processors-toolkit sends it with every parameter."""
    request = orders.purchase(running)["id"]
    sent = {"id": "activation_id", "value": "a-2", "value_error": "", "structured_value": ""}
    response = wire.put(running, f"/requests/{request}", {"asset": {"params": [sent]}})
    assert response.status == 200
    stored = next(p for p in response.json["asset"]["params"] if p["id"] == "activation_id")
    assert (stored["value"], stored["value_error"]) == ("a-2", "")
    body = {"template_id": "TL-213-870-001", "activation_tile": None, "effective_date": None}
    approved = wire.post(running, f"/requests/{request}/approve", body)
    assert (approved.status, approved.json["status"]) == (200, "approved")


def test_parameters_keep_their_order(running: Sandbox) -> None:
    """The testing library compares them by position."""
    request = orders.purchase(running)
    before = [p["id"] for p in request["asset"]["params"]]
    sent = [{"id": name, "value": ""} for name in reversed(before)]
    sent[0]["value"] = "https://console.example.com"
    response = wire.put(running, f"/requests/{request['id']}", {"asset": {"params": sent}})
    assert [p["id"] for p in response.json["asset"]["params"]] == before


def test_fields_of_reports_are_always_present(running: Sandbox) -> None:
    for row in wire.get(running, "/requests?limit=1000").json:
        asset = row["asset"]
        assert asset["connection"]["hub"]["id"]
        assert set(asset["tiers"]) == {"customer", "tier1", "tier2"}
        assert all({"quantity", "old_quantity"} <= set(item) for item in asset["items"])
    for row in wire.get(running, "/assets?limit=1000").json:
        assert STAMP.fullmatch(row["events"]["created"]["at"])
        assert STAMP.fullmatch(row["events"]["updated"]["at"])
