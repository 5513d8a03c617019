"""The page of faults: who sees and changes which, the forms, and stamps on other pages."""

from __future__ import annotations

import pytest
from django.test import Client

from sandbox.faults import api_side, armed
from sandbox.faults.kinds import KINDS
from sandbox.models import Fault, HeldResponse
from sandbox.timeline import api_calls
from tests import html, make
from tests.api import caller
from tests.html import Element
from tests.make import Catalog
from tests.portal import delivery_rows
from tests.signed_in import distributor, root, vendor

__all__ = ["distributor", "root", "vendor"]

pytestmark = pytest.mark.django_db

FORMS = [(side, kind.name) for kind in KINDS.values() for side in kind.sides]


def page(client: Client) -> Element:
    return html.get(client, "/faults/")


def rows(client: Client) -> list[str]:
    return [row["data-fault"] for row in page(client).all("tr[data-fault]")]


def act(client: Client, address: str, **data: str) -> str:
    """POST, and return the message of the next page."""
    response = client.post(address, data)
    assert (response.status_code, response["Location"]) == (303, "/faults/"), response
    return page(client).one(".messages").text


def test_each_kind_has_a_form_with_its_parameters(root: Client) -> None:
    shown = page(root)
    for side, kind in FORMS:
        path = f"/faults/new/{side}/{kind}/"
        assert shown.all(f'a[href="{path}"]')
        form = html.get(root, path)
        parameters = KINDS[kind].parameters_of(side)
        names = [each["name"] for each in form.all("main form *[name^=parameter-]")]
        assert names == [f"parameter-{p.name}" for p in parameters]
        # The defaults are valid, and what is required is asked for.
        required = {f"parameter-{p.name}": "1" for p in parameters if p.is_required}
        values = {each["name"]: each.get("value") for each in form.all("main form input[name]")}
        if required:
            assert root.post(path, values).status_code == 400
        assert root.post(path, {**values, **required}).status_code == 303
    rows = Fault.objects.all()
    assert sorted((row.side, row.kind) for row in rows) == sorted(FORMS)
    for row in rows:
        for each in KINDS[row.kind].parameters_of(row.side):
            if each.default is not None and not each.is_required:
                assert row.parameters[each.name] == each.default, (row.kind, each.name)


def test_all_fields_are_armed_as_the_api_does(root: Client, catalog: Catalog) -> None:
    text = act(
        root,
        "/faults/new/api/abort/",
        **{"parameter-status": "429", "parameter-retry_after": "7", "parameter-body": "[1]"},
        account=catalog.vendor.pk,
        method="POST",
        path="/requests/*/approve",
        name="too many",
        probability="0.5",
        times="2",
        after="1",
        ttl="5m",
        seed="9",
    )
    assert text == "Fault too many is armed"
    [row] = armed.listed()
    assert row.parameters == {"status": 429, "retry_after": 7, "body": [1]}
    assert row.scope == {
        "account": catalog.vendor.pk,
        "method": "POST",
        "path": "/requests/*/approve",
    }
    assert (row.probability, row.times, row.after, row.seed) == (0.5, 2, 1, 9)
    assert 0 < row.expires_in <= 300  # type: ignore[attr-defined]
    shown = page(root).one("tr[data-fault]").text
    for part in (
        "too many abort",
        "POST /requests/*/approve",
        "status 429",
        "armed for 5 min",
        "with probability 0.5, seed 9, after the first 1, at most 2 times",
    ):
        assert part in shown


@pytest.mark.parametrize(
    ("values", "field", "error"),
    [
        ({"parameter-status": "5"}, "parameter-status", "between 400 and 599"),
        ({"parameter-status": "many"}, "parameter-status", "A valid integer is required."),
        ({"nth": "1,x"}, "nth", "A valid integer is required."),
        ({"nth": "1", "probability": "1"}, "nth", "Cannot be combined with probability."),
        ({"probability": "2"}, "probability", "between 0 and 1"),
        ({"path": "requests"}, "path", "begins with a slash"),
        ({"ttl": "soon"}, "ttl", "is not a duration"),
        ({"times": "0"}, "times", "between 1 and"),
        ({"name": "taken"}, "name", "is armed already"),
        ({"method": "BREW"}, "method", "is not one of the available choices"),
        ({"account": "VA-999-999"}, "account", "is not one of the available choices"),
    ],
)
def test_wrong_field_is_shown_with_its_error(
    root: Client, values: dict[str, str], field: str, error: str
) -> None:
    armed.arm("drop", "api", "taken")
    response = root.post("/faults/new/api/abort/", values)
    assert response.status_code == 400
    shown = html.parse(response)
    [wrong] = shown.all(".field.is-wrong")
    assert wrong["data-field"] == field and error in wrong
    assert Fault.objects.count() == 1


@pytest.mark.parametrize("path", ["api/duplicate", "delivery/hold", "api/nothing", "other/abort"])
def test_kind_that_a_side_lacks_is_missing(root: Client, path: str) -> None:
    assert root.get(f"/faults/new/{path}/").status_code == 404


@pytest.fixture
def armed_faults(catalog: Catalog) -> dict[str, Fault]:
    """A fault of each scope."""
    hook = make.webhook(catalog)
    scopes = {
        "all": {},
        "of a path": {"path": "/requests"},
        "of the vendor": {"account": catalog.vendor.pk},
        "of the distributor": {"account": catalog.provider.pk},
    }
    found = {
        name: armed.arm("abort", "api", name, {"status": 503}, scope)
        for name, scope in scopes.items()
    }
    narrow = armed.arm("drop", "delivery", "of a webhook", scope={"webhook": hook.pk})
    return {**found, "of a webhook": narrow}


SEEN = {
    "root": (["all", "of a path", "of the vendor", "of the distributor", "of a webhook"],) * 2,
    "vendor": (["all", "of a path", "of the vendor", "of a webhook"],
               ["of the vendor", "of a webhook"]),
    "distributor": (["all", "of a path", "of the distributor"], ["of the distributor"]),
}  # fmt: skip


@pytest.mark.parametrize("who", SEEN)
@pytest.mark.usefixtures("armed_faults")
def test_palette_finds_the_faults_that_users_see(request: pytest.FixtureRequest, who: str) -> None:
    client: Client = request.getfixturevalue(who)
    seen, _ = SEEN[who]
    shown = html.get(client, "/search/?q=OF").one(".palette-page").text
    for name in SEEN["root"][0]:
        assert (f"Fault {name}" in shown) == (name in seen and "of" in name), name


@pytest.mark.parametrize("who", SEEN)
def test_users_see_and_change_what_concerns_their_account(
    armed_faults: dict[str, Fault], request: pytest.FixtureRequest, who: str
) -> None:
    client: Client = request.getfixturevalue(who)
    seen, own = SEEN[who]
    assert rows(client) == seen
    changeable = [
        row["data-fault"] for row in page(client).all("tr[data-fault]") if row.all("form")
    ]
    assert changeable == own
    for name, row in armed_faults.items():
        for action in ("clear", "release"):
            if name not in own:
                assert client.post(f"/faults/{row.pk}/{action}/").status_code == 404
    assert len(armed.listed()) == len(armed_faults)
    assert act(client, "/faults/clear/") == f"{len(own)} fault{'s' * (len(own) > 1)} cleared"
    assert [row.name for row in armed.listed()] == [
        name for name in armed_faults if name not in own
    ]


def test_user_of_an_account_arms_faults_of_the_account_only(
    vendor: Client, catalog: Catalog
) -> None:
    hook = make.webhook(catalog)
    other = make.webhook(make.catalog("2"), n=2)
    latency = {"parameter-ms": "5", "parameter-jitter": "0"}
    form = "/faults/new/delivery/latency/"
    for wrong in ({}, {"webhook": ""}, {"webhook": other.pk}):
        assert vendor.post(form, {**latency, **wrong}).status_code == 400
    assert vendor.post(form, {**latency, "webhook": hook.pk}).status_code == 303
    form = "/faults/new/api/latency/"
    for account in ("", catalog.provider.pk):
        assert vendor.post(form, {**latency, "account": account}).status_code == 400
    assert vendor.post(form, {**latency, "account": catalog.vendor.pk}).status_code == 303
    assert [row.scope for row in armed.listed()] == [
        {"webhook": hook.pk},
        {"account": catalog.vendor.pk},
    ]


def test_held_calls_are_shown_and_released(
    root: Client, armed_faults: dict[str, Fault], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = armed_faults["all"]
    for n in range(12):
        HeldResponse.objects.create(fault=row, number=n, method="GET", path=f"/p/{n}", seen=1e12)
    monkeypatch.setattr(api_side.wakeup, "is_broker_in_memory", lambda: False)
    shown = page(root).one(f'tr[data-fault="{row.name}"]')
    assert "12 held" in shown and "GET /p/9" in shown and "2 more" in shown
    assert act(root, f"/faults/{row.pk}/release/", count="1") == "1 response released"
    assert HeldResponse.objects.order_by("pk")[0].number == 1
    assert act(root, f"/faults/{row.pk}/release/") == "11 responses released"
    assert act(root, f"/faults/{row.pk}/release/") == "No response was held"
    Fault.objects.filter(pk=row.pk).update(fired=1)
    assert act(root, f"/faults/{row.pk}/clear/") == "Fault all cleared: it fired once"


def test_poll_is_empty_until_something_changes(
    root: Client, armed_faults: dict[str, Fault]
) -> None:
    address = page(root).one("#faults")["hx-get"]
    poll = {"HX-Request": "true"}
    assert root.get(address, headers=poll).status_code == 204
    Fault.objects.filter(pk=armed_faults["all"].pk).update(asked=3)
    response = root.get(address, headers=poll)
    assert response.status_code == 200 and "<html" not in response.content.decode()
    assert html.parse(response).one("#faults")["hx-get"] != address


def test_every_page_says_how_many_faults_are_armed(
    root: Client, vendor: Client, distributor: Client, catalog: Catalog
) -> None:
    def said(client: Client, path: str = "/") -> str:
        return " ".join(each.text for each in html.get(client, path).all(".bar a[data-faults]"))

    assert said(root) == ""
    armed.arm("drop", "api", ttl=60)
    assert said(root) == "1 fault armed"
    armed.arm("drop", "api", scope={"account": catalog.vendor.pk})
    assert said(root, "/products/") == said(vendor) == "2 faults armed"
    # Another account's is none of the viewer's.
    assert said(distributor) == "1 fault armed"
    Fault.objects.filter(expires__isnull=False).update(expires=1.0)
    assert (said(root), said(distributor)) == ("1 fault armed", "")
    assert [row.text for row in page(root).all("tr .badge.badge-bad")] == ["armed"]
    assert "expired" in page(root).one("#faults")


@pytest.mark.django_db(transaction=True)
def test_faults_are_shown_with_attempts_and_calls(root: Client, catalog: Catalog) -> None:
    order = make.order(catalog)
    row = delivery_rows.delivery(make.webhook(catalog), order.pk)
    delivery_rows.attempt(row)
    delivery_rows.attempt(row, "failure", faults=[{"name": "bad", "kind": "abort"}])
    marks = html.get(root, f"/deliveries/{row.pk}/").all(".attempt *[data-fault]")
    assert [each.text for each in marks] == ["fault bad (abort)"]
    armed.arm("abort", "api", "down", {"status": 503})
    assert caller(catalog.vendor).get(f"/requests/{order.pk}").status == 503
    api_calls.flush()
    calls = html.get(root, f"/queues/fulfillment_request/{order.pk}/").all(
        ".api-call *[data-fault]"
    )
    assert [each.text for each in calls] == ["fault down (abort)"]
