"""The `value_error` of a parameter stays until somebody clears it, or the customer answers."""

from __future__ import annotations

from typing import Any

import pytest

from tests import make
from tests.queue import builders
from tests.queue.platforms import Platform
from tests.queue.tables import FULFILLMENT, PATHS, TIER_CONFIG

pytestmark = pytest.mark.django_db

ASKED, OTHER = "Choose one", "Who?"


class Inquiry:
    """A request that is inquiring about two of its ordering parameters."""

    def __init__(self, platform: Platform, queue: str) -> None:
        kind, scope = {FULFILLMENT: ("purchase", "asset"), TIER_CONFIG: ("setup", "tier1")}[queue]
        self.asked, self.other = f"{scope}_ask", f"{scope}_other"
        self.filled = f"{scope}_filled"
        make.parameter(platform.catalog, self.other, scope=scope)
        make.parameter(platform.catalog, self.filled, scope=scope, phase="fulfillment")
        self.platform, self.queue = platform, queue
        self.path = f"{PATHS[queue]}/{builders.BUILDERS[queue](platform, 'pending', kind)}"
        self.put("V", self.asked, value="us", value_error=ASKED)
        self.put("V", self.other, value_error=OTHER)
        platform.post("V", f"{self.path}/inquire")

    def body(self, *params: dict[str, Any]) -> dict[str, Any]:
        found = {"params": list(params)}
        return found if self.queue == TIER_CONFIG else {"asset": found}

    def put(self, actor: str, name: str, **values: str) -> None:
        self.platform.put(actor, self.path, self.body({"id": name, **values}))

    def pend(self, actor: str, query: str = "", **values: str) -> None:
        """Make the request pending again, with values."""
        given = [{"id": name, "value": value} for name, value in values.items()]
        self.platform.post(actor, f"{self.path}/pend{query}", self.body(*given) if given else None)

    @property
    def link(self) -> str:
        """The query of the inquiring form's link."""
        shown = self.platform.by["V"].get(self.path).json
        url = shown.get("params_form_url") or shown["activation"]["link"]
        return f"?code={url.partition('code=')[2]}"

    def params(self, about: str = "") -> list[tuple[str, str]]:
        """Return value and error of both parameters in the request, or in what it is about."""
        found = self.found(about)
        return [found[self.asked], found[self.other]]

    def found(self, about: str = "") -> dict[str, tuple[str, str]]:
        shown = self.platform.by["V"].get(self.path).json
        if about:
            shown = {"asset": self.platform.by["V"].get(f"{about}/{self.subject(shown)}").json}
        rows = shown["asset"]["params"] if "asset" in shown else shown["params"]
        return {row["id"]: (row["value"], row["value_error"]) for row in rows}

    def subject(self, shown: Any) -> str:
        return str(shown["asset" if self.queue == FULFILLMENT else "configuration"]["id"])


@pytest.fixture(params=[FULFILLMENT, TIER_CONFIG])
def inquiry(request: pytest.FixtureRequest, platform: Platform) -> Inquiry:
    return Inquiry(platform, request.param)


def test_errors_stay_when_a_vendor_sets_a_value_pends_and_approves(inquiry: Inquiry) -> None:
    inquiry.put("V", inquiry.asked, value="eu")
    kept = [("eu", ASKED), ("", OTHER)]
    assert inquiry.params() == kept
    inquiry.pend("V", **{inquiry.other: "ada"})
    kept[1] = ("ada", OTHER)
    assert inquiry.params() == kept
    inquiry.platform.post("V", f"{inquiry.path}/approve")
    assert inquiry.params() == kept
    of = "/assets" if inquiry.queue == FULFILLMENT else "/tier/configs"
    assert inquiry.params(of) == kept


def test_pend_without_an_answer_leaves_errors(inquiry: Inquiry) -> None:
    inquiry.pend("D")
    assert inquiry.params() == [("us", ASKED), ("", OTHER)]


def test_empty_value_error_clears_an_error(inquiry: Inquiry) -> None:
    inquiry.put("V", inquiry.asked, value_error="")
    assert inquiry.params() == [("us", ""), ("", OTHER)]


def test_customers_answer_clears_the_errors_of_what_it_answers(inquiry: Inquiry) -> None:
    # An answer may be that the value is right.
    inquiry.pend("D", **{inquiry.asked: "us"})
    assert inquiry.params() == [("us", ""), ("", OTHER)]


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"value": None},
        {"value": ""},
        {"structured_value": {}},
        {"value_error": OTHER},
        # As it was read.
        {"value": "", "value_error": OTHER, "title": "Other"},
    ],
)
def test_pend_keeps_the_error_of_a_parameter_without_an_answer(
    inquiry: Inquiry, entry: dict[str, Any]
) -> None:
    asked = {"id": inquiry.asked, "value": "us", "value_error": ASKED}
    body = inquiry.body(asked, {"id": inquiry.other, **entry})
    inquiry.platform.post("D", f"{inquiry.path}/pend", body)
    assert inquiry.params() == [("us", ASKED), ("", OTHER)]


def test_pend_keeps_the_error_of_a_fulfillment_parameter(inquiry: Inquiry) -> None:
    inquiry.put("V", inquiry.filled, value="sold", value_error="Who?")
    inquiry.pend("D", **{inquiry.filled: "sold", inquiry.asked: "us"})
    assert inquiry.params() == [("us", ""), ("", OTHER)]
    assert inquiry.found()[inquiry.filled] == ("sold", "Who?")


def test_form_answers_with_an_empty_value(inquiry: Inquiry) -> None:
    inquiry.pend("V", inquiry.link, **{inquiry.other: ""})
    assert inquiry.params() == [("us", ASKED), ("", "")]


def test_form_answers_for_the_customer_even_if_a_vendor_sends_it(inquiry: Inquiry) -> None:
    inquiry.pend("V", inquiry.link, **{inquiry.asked: "us", inquiry.other: "ada"})
    assert inquiry.params() == [("us", ""), ("ada", "")]


def test_distributors_new_value_clears_its_error(inquiry: Inquiry) -> None:
    inquiry.put("D", inquiry.other, value="ada", value_error=OTHER)
    inquiry.put("D", inquiry.asked, value="us", value_error=ASKED)
    assert inquiry.params() == [("us", ASKED), ("ada", "")]


def test_setting_lets_pend_and_approval_clear_errors(inquiry: Inquiry, settings: Any) -> None:
    settings.SIM_VALUE_ERRORS = "cleared"
    inquiry.put("V", inquiry.asked, value="eu")
    assert inquiry.params() == [("eu", ASKED), ("", OTHER)]
    inquiry.pend("V")
    assert inquiry.params() == [("eu", ""), ("", "")]
    inquiry.put("V", inquiry.asked, value_error=ASKED)
    inquiry.platform.post("V", f"{inquiry.path}/approve")
    of = "/assets" if inquiry.queue == FULFILLMENT else "/tier/configs"
    assert inquiry.params(of) == [("eu", ""), ("", "")]


def test_next_request_of_a_subscription_has_no_errors(platform: Platform) -> None:
    first = Inquiry(platform, FULFILLMENT)
    first.pend("V")
    platform.post("V", f"{first.path}/approve")
    asset = first.subject(platform.by["V"].get(first.path).json)
    changed = platform.post("D", PATHS[FULFILLMENT], builders.asset_request(asset, "change"))
    assert {row["value_error"] for row in changed["asset"]["params"]} == {""}
