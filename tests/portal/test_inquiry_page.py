"""The page of the inquiring form: access, contents and submitting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from requests_queue import seed
from requests_queue.catalog.models import Parameter
from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.tier_config.models import TierConfigRequest
from tests.api import Caller
from tests.hypothesis_profiles import examples
from tests.portal import inquiry_form
from tests.portal.inquiry_form import SUITE, TIER_REQUEST, api_of, post, visit

pytestmark = pytest.mark.django_db
# An order of the suite that the demo data have inquired: its console's name is taken.
ORDER = "PR-2934-6610-1178-001"


@pytest.fixture
def path(vendor: Caller) -> str:
    """The URL of a form that requests another name."""
    return inquiry_form.link(api_of(vendor), ORDER)


@pytest.fixture
def edit(seeded: seed.Summary) -> Callable[..., None]:
    """Return a function that changes a parameter of the order."""

    def change(pk: str, **keys: Any) -> None:
        row = Request.objects.get(pk=ORDER)
        rules = keys.pop("constraints", {})
        row.params = [
            {**p, **keys, "constraints": {**p["constraints"], **rules}} if p["id"] == pk else p
            for p in row.params
        ]
        row.save()

    return change


def values() -> dict[str, Any]:
    """Return the values of the order's parameters."""
    return {p["id"]: p["value"] for p in Request.objects.get(pk=ORDER).params}


def status(pk: str = ORDER) -> str:
    return Request.objects.get(pk=pk).status


def test_page_shows_the_request_and_the_vendors_text(path: str) -> None:
    page = visit(Client(), path)
    shown = (
        ORDER,
        "Nimbus Secure Suite",
        "Marlow Dental",
        "Please correct the values that are marked",
        # The vendor's headings come below the page's own.
        "<h1>Nimbus Inc needs your answers</h1>",
        "<h2>We need something from you</h2>",
    )
    assert [words for words in shown if words not in page.html] == []


def test_pages_have_security_headers(path: str) -> None:
    for address in (path, f"/forms/{ORDER}"):
        headers = visit(Client(), address).response.headers
        expected = {
            "Cache-Control": "no-store",
            "Referrer-Policy": "same-origin",
            "X-Robots-Tag": "noindex, nofollow",
        }
        assert {name: headers[name] for name in expected} == expected
        policy = headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy


def test_vendors_text_has_no_html_and_loads_nothing(path: str, edit: Callable[..., None]) -> None:
    edit("company_alias", value="<i>x</i>[y](javascript:1)")
    text = (
        "# Hello <b>you</b>\n\n<script>alert(1)</script>\n\n![seen](https://spy.example.com/p.png)"
        "\n\n[link](javascript:alert(1)) {{ asset.params.company_alias.value }}\n\n"
        "| a | b |\n|---|---|\n| 1 | 2 |\n\n##### deep"
    )
    Request.objects.filter(pk=ORDER).update(template=None, activation_key=text)
    page = visit(Client(), path)
    # No level of heading is left out.
    shown = ("&lt;b&gt;you&lt;/b&gt;", "&lt;i&gt;x&lt;/i&gt;", "<td>1</td>", "<h3>deep</h3>")
    assert [part for part in shown if part not in page.html] == []
    hidden = ("<script>alert", "spy.example.com", 'href="javascript')
    assert [part for part in hidden if part in page.html] == []


@pytest.mark.parametrize(
    "address",
    [
        f"/forms/{ORDER}",
        f"/forms/{ORDER}?code=",
        f"/forms/{ORDER}?code={'0' * 32}",
        f"/forms/{ORDER}?code=%ED%A0%80",
        f"/forms/{ORDER}?code={quote('é')}",
        "/forms/PR-0000-0000-0000-001?code=x",
        "/forms/%F0%9F%92%A9?code=x",
        "/forms/VA-610-138?code=x",
        f"/forms/{'P' * 5000}?code=x",
    ],
)
def test_form_is_not_found_without_the_code(seeded: seed.Summary, address: str) -> None:
    nothing = visit(Client(), "/forms/nothing?code=x")
    client = Client()
    path, _, query = address.partition("?")
    for response in (
        visit(client, address),
        post(client, address, "shown=console_subdomain"),
        post(client, f"{path}/check?{query}", "shown=console_subdomain"),
    ):
        assert response.status == 404
        assert response.html == nothing.html
    assert status() == "inquiring"


def test_code_opens_the_form_of_its_request_only(path: str, vendor: Caller) -> None:
    code = path.partition("=")[2]
    other = inquiry_form.link(api_of(vendor), TIER_REQUEST).partition("?")[0]
    queues = ("/usage/files", "/tier/account-requests", "/subscriptions/requests")
    addresses = [
        f"{path}&code={code}",
        f"{path}&code=other",
        f"{other}?code={code}",
        *(f"/forms/{vendor.get(listed).json[0]['id']}?code=" for listed in queues),
    ]
    assert [visit(Client(), address).status for address in addresses] == [404] * 6


def test_form_of_another_site_is_refused(path: str) -> None:
    client = Client(enforce_csrf_checks=True)
    page = visit(client, path)
    forged = post(client, path, "shown=console_subdomain&value:console_subdomain=x")
    assert forged.status == 403
    assert forged.response.headers["Content-Type"].startswith("text/html")
    assert post(client, path.replace("?", "/check?"), "").status == 403
    assert status() == "inquiring"
    assert page.send(client, value__console_subdomain="marlow").status == 200
    assert status() == "pending"


def test_other_methods_are_refused(path: str) -> None:
    client = Client()
    responses = client.put(path), client.get(path.replace("?", "/check?")), client.head(path)
    assert [response.status_code for response in responses] == [405, 405, 200]


def test_inquired_parameters_are_shown(path: str, edit: Callable[..., None]) -> None:
    # Only parameters with an error.
    assert list(visit(Client(), path).fields) == ["console_subdomain"]
    # Also required parameters without a value, unless hidden.
    edit("admin_email", value="")
    edit("company_alias", constraints={"required": True, "hidden": True})
    assert list(visit(Client(), path).fields) == ["admin_email", "console_subdomain"]
    # Never fulfillment parameters, even with an error.
    edit("tenant_id", value_error="Not yet.")
    assert "tenant_id" not in visit(Client(), path).fields
    # Without errors, all visible parameters.
    edit("console_subdomain", value_error="")
    edit("admin_email", value="a@example.com")
    assert list(visit(Client(), path).fields) == [
        pk for pk in inquiry_form.VALUES if pk != "company_alias"
    ]


def test_parameter_shown_by_a_validator_is_shown_on_a_new_visit(
    path: str, seeded: seed.Summary
) -> None:
    row = Parameter.objects.get(product=SUITE, name="siem_url")
    row.constraints = {**row.constraints, "hidden": True}
    row.save()
    assert list(visit(Client(), path).fields) == ["console_subdomain", "siem_url"]


def test_customer_cannot_set_hidden_and_readonly_parameters(
    path: str, edit: Callable[..., None]
) -> None:
    edit("company_alias", value="kept", value_error="Wrong.", constraints={"readonly": True})
    edit("customer_domain", value="kept.example", constraints={"hidden": True})
    before, page = values(), visit(Client(), path)
    shown = page.fields["company_alias"]
    assert (shown.control["disabled"], shown.control["value"]) == (True, "kept")
    assert "Read-only." in shown.help
    body = page.body(
        value__company_alias="mine",
        value__customer_domain="mine.example",
        value__tenant_id="mine",
        value__first_password="mine",
        value__console_subdomain="marlow",
    )
    for pk in ("customer_domain", "tenant_id", "first_password", "nothing"):
        body += f"&shown={pk}"
    assert post(Client(), path, body).status == 200
    assert (status(), values()) == ("pending", {**before, "console_subdomain": "marlow"})


def test_parameters_that_are_not_shown_are_unchanged(path: str) -> None:
    before = values()
    visit(Client(), path).send(
        Client(), value__console_subdomain="marlow", value__company_alias="not asked"
    )
    assert values() == {**before, "console_subdomain": "marlow"}


def test_submitted_form_redirects_to_the_status(path: str, vendor: Caller) -> None:
    client = Client()
    response = client.post(
        path,
        visit(client, path).body(value__console_subdomain="marlow"),
        content_type="application/x-www-form-urlencoded",
    )
    assert (response.status_code, response.headers["Location"]) == (303, path)
    assert visit(client, path).outcome == "pending"
    request = vendor.get(f"/requests/{ORDER}").json
    assert (request["status"], request["answered"]) == ("pending", True)
    assert all(p["value_error"] == "" for p in request["asset"]["params"])


def test_unchanged_form_can_be_submitted(path: str) -> None:
    # Without a validator, only a new value can clear the error.
    assert visit(Client(), path).send(Client()).outcome == "pending"
    assert values()["console_subdomain"] == "dental"


def test_second_submission_changes_nothing(path: str) -> None:
    page = visit(Client(), path)
    page.send(Client(), value__console_subdomain="first")
    assert page.send(Client(), value__console_subdomain="second").outcome == "pending"
    assert page.check(Client(), value__console_subdomain="third").status == 409
    assert values()["console_subdomain"] == "first"


def test_link_works_for_another_inquiry(path: str, vendor: Caller) -> None:
    visit(Client(), path).send(Client(), value__console_subdomain="first")
    errors = {"console_subdomain": "This one is taken, too."}
    vendor.put(f"/requests/{ORDER}", {"asset": {"params": inquiry_form.entries({}, errors)}})
    vendor.post(f"/requests/{ORDER}/inquire", {})
    assert visit(Client(), path).fields["console_subdomain"].error == "This one is taken, too."


@pytest.mark.parametrize(
    "name",
    [
        "draft", "tiers_setup", "pending", "approved", "failed", "scheduled", "revoking", "revoked",
    ],
)  # fmt: skip
def test_page_of_a_closed_request_shows_its_status_and_no_form(path: str, name: str) -> None:
    Request.objects.filter(pk=ORDER).update(status=name, reason="Too <late>.")
    page = visit(Client(), path)
    assert (page.status, page.outcome, page.fields) == (200, name, {})
    assert ("Too <late>." in page.text) == (name in ("failed", "revoking", "revoked"))
    assert post(Client(), path, "shown=console_subdomain").status == 200
    assert status() == name


def test_text_of_an_approved_request_is_not_shown(path: str) -> None:
    text = "Your first password is S3cret."
    Request.objects.filter(pk=ORDER).update(status="approved", activation_key=text)
    assert "S3cret" not in visit(Client(), path).text


def test_resellers_form_is_submitted(vendor: Caller) -> None:
    page = visit(Client(), inquiry_form.link(api_of(vendor), TIER_REQUEST))
    assert "Brightwater Cloud Ltd" in page.text and "Your partner data is incomplete" in page.text
    (name,) = page.fields
    assert page.send(Client(), **{f"value__{name}": "AGR-2026-7"}).outcome == "pending"
    row = TierConfigRequest.objects.get(pk=TIER_REQUEST)
    stored = {p["id"]: p["value"] for p in row.params}
    assert (row.status, stored[name]) == ("pending", "AGR-2026-7")


def test_order_with_missing_values_shows_the_form(vendor: Caller, distributor: Caller) -> None:
    request = inquiry_form.order(api_of(distributor), admin_email="")
    assert request["status"] == "inquiring"
    path = inquiry_form.link(api_of(vendor), request["id"])
    page = visit(Client(), path)
    assert page.errors == {"admin_email": ""}
    assert page.send(Client()).fields["admin_email"].error == "This field is required."
    sent = visit(Client(), path).send(Client(), value__admin_email="ada@example.com")
    assert (sent.outcome, status(request["id"])) == ("pending", "pending")


def test_check_shows_errors_of_reached_fields_only(path: str, edit: Callable[..., None]) -> None:
    edit("admin_email", value="")
    page = visit(Client(), path)
    # The address is missing, but the customer has not reached it yet.
    checked = page.check(Client(), "console_subdomain", value__console_subdomain="-")
    assert (checked.status, checked.errors) == (
        200,
        {"admin_email": "", "console_subdomain": "Use at least 3 characters (currently 1)."},
    )
    assert "Checked. Correct 1 answer." in checked.text
    assert values()["console_subdomain"] == "dental"
    both = page.check(
        Client(),
        "console_subdomain",
        "admin_email",
        value__console_subdomain="marlow",
        value__admin_email="x",
    )
    # Errors of one request do not affect the other.
    assert both.errors == {
        "admin_email": "Enter an email address, such as name@example.com.",
        "console_subdomain": "",
    }
    assert (status(), values()["console_subdomain"]) == ("inquiring", "marlow")


def test_shown_field_stays_shown(path: str) -> None:
    checked = visit(Client(), path).check(Client(), value__console_subdomain="marlow")
    assert checked.errors == {"console_subdomain": ""}


def test_check_after_a_failed_submission_shows_all_errors(
    path: str, edit: Callable[..., None]
) -> None:
    edit("admin_email", value="")
    page = visit(Client(), path).send(Client(), value__console_subdomain="-")
    checked = page.check(Client(), value__console_subdomain="marlow")
    missing = [each.fields["admin_email"].error for each in (page, checked)]
    assert missing == ["This field is required."] * 2
    assert "Your answers were not sent" in checked.text
    # Only the page of the submission takes the focus.
    assert ["autofocus" in each.html for each in (page, checked)] == [True, False]


def test_malformed_bodies_are_refused(path: str) -> None:
    client = Client()
    huge = urlencode({"asked": "console_subdomain", "value:console_subdomain": "x" * 1_000_000})
    page = post(client, path, huge)
    assert page.fields["console_subdomain"].error.startswith("Use no more than 30 characters")
    for body in ("x" * 5_000_000, "&".join(f"a{n}=" for n in range(2000))):
        assert post(client, path, body).status == 400
    for kind in ("multipart/form-data; boundary=x", "application/json"):
        assert client.post(path, b"--x\r\nno part", content_type=kind).status_code < 500


NAMES = st.sampled_from(
    ["asked", "sent", "reached", "code", "csrfmiddlewaretoken"]
    + [f"value:{pk}" for pk in (*inquiry_form.VALUES, "tenant_id", "internal_note", "")]
    + [f"{part}:site_address" for part in (*inquiry_form.ADDRESS, "value")]
    + [f"{part}:security_phone" for part in inquiry_form.PHONE]
)
TEXTS = st.one_of(
    st.sampled_from(
        [*inquiry_form.VALUES, "tenant_id", "first_password", "", "yes", "eu", "[" * 2000]
    ),
    st.text(max_size=40),
    st.binary(max_size=20),
)
BODIES = st.lists(st.tuples(NAMES, TEXTS), max_size=25).map(urlencode)
ANSWERS = ("", "/check")


@examples(25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(body=BODIES, which=st.sampled_from(ANSWERS))
def test_no_body_breaks_the_form_or_sets_protected_parameters(
    path: str, edit: Callable[..., None], body: str, which: str
) -> None:
    edit("edition", value="standard", constraints={"readonly": True})
    edit("data_region", value="uk", constraints={"hidden": True})
    before = Request.objects.get(pk=ORDER)
    response = post(Client(), path.replace("?", f"{which}?"), body)
    assert response.status in (200, 400, 409), response.html
    after = Request.objects.get(pk=ORDER)
    shown = {
        p["id"]
        for p in before.params
        if p["phase"] == "ordering" and p["id"] not in ("edition", "data_region")
    }
    for old, new in zip(before.params, after.params, strict=True):
        if old["id"] not in shown:
            assert {**old, "value_error": ""} == {**new, "value_error": ""}
        assert {k: old[k] for k in ("id", "type", "constraints")} == {
            k: new[k] for k in ("id", "type", "constraints")
        }
    if which == "/check" or "Your answers were not sent" in response.text:
        assert after.status == "inquiring"
    else:
        assert after.status == "pending"
    if after.status != "inquiring":
        Request.objects.filter(pk=ORDER).update(status="inquiring", params=before.params)
