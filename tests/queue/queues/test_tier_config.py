"""The tier configuration queue: waiting orders, creation, and checks of actions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings

from requests_queue import clock
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Asset, Template, TierAccount
from requests_queue.errors import ActionNotAllowed, Invalid, Refused
from requests_queue.queues import transitions
from requests_queue.queues.fulfillment import creation as orders
from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.tier_config import creation, due, samples
from requests_queue.queues.tier_config.models import TierConfig, TierConfigRequest
from tests import make
from webhooks.models import Event, Webhook

pytestmark = pytest.mark.django_db

TILE = {"template": {"representation": "Welcome"}, "reason": "Because"}


def capable(level: int = 2, **more: Any) -> dict[str, Any]:
    return {"tiers": {"configs": {"configs": True, "level": level, **more}, "validation": True}}


def create_catalog(level: int = 2, required: bool = False, **more: Any) -> make.Catalog:
    """Make a platform whose product configures resellers up to a level."""
    catalog = make.catalog(capabilities=capable(level, **more))
    for scope in ("tier1", "tier2"):
        make.parameter(catalog, f"{scope}_ask", scope=scope, constraints={"required": required})
        make.parameter(catalog, f"{scope}_set", scope=scope, phase="fulfillment")
    for object_class in ("tier_config_request", "fulfillment_request"):
        for n, account in enumerate((catalog.vendor, catalog.provider), 1):
            number = n + 10 * (object_class == "fulfillment_request")
            make.webhook(catalog, n=number, object_class=object_class, account=account)
    return catalog


def actor(catalog: make.Catalog, letter: str) -> Actor:
    return {"V": catalog.as_vendor, "D": catalog.as_distributor, "S": Actor()}[letter]


def reseller(catalog: make.Catalog, n: int) -> TierAccount:
    return TierAccount.objects.create(
        id=f"TA-1111-0000-{n:04d}",
        name=f"Reseller {n}",
        type="reseller",
        owner=catalog.provider,
        hub=catalog.connection.hub,
        contact_info=make.CONTACT,
        created=make.AT,
        updated=make.AT,
    )


def everything() -> tuple[Any, ...]:
    models = (TierConfigRequest, TierConfig, Request, Asset, Event, Webhook)
    return tuple(list(model.objects.order_by("pk").values()) for model in models)


def act(row: TierConfigRequest, name: str, actor: Actor, **data: Any) -> Any:
    return transitions.move(TierConfigRequest, row.pk, name, actor, data)


def notified() -> list[tuple[str, str, str]]:
    """Return the events of the vendor's webhooks, in order."""
    rows = Event.objects.filter(webhook__account__type="vendor").order_by("pk")
    return [(row.object_id, row.status_from or "", row.status_to) for row in rows]


def order(catalog: make.Catalog, tier1: TierAccount, tier2: TierAccount | None = None) -> Request:
    body = make.purchase(catalog)
    body["asset"]["tiers"]["tier1"] = {"id": tier1.pk}
    if tier2 is not None:
        body["asset"]["tiers"]["tier2"] = {"id": tier2.pk}
    return orders.create(body, catalog.as_distributor)


def of(account: TierAccount) -> TierConfigRequest:
    """Return the latest request about an account."""
    request = TierConfigRequest.objects.filter(configuration__account=account).order_by("pk").last()
    assert request is not None
    return request


def setup_body(catalog: make.Catalog, account: TierAccount, level: int = 1, **more: Any) -> Any:
    configuration = {
        "product": {"id": catalog.product.pk},
        "account": {"id": account.pk},
        "tier_level": level,
        **more.pop("configuration", {}),
    }
    return {"configuration": configuration, **more}


def setup(
    catalog: make.Catalog, account: TierAccount, level: int = 1, **more: Any
) -> TierConfigRequest:
    return creation.create(setup_body(catalog, account, level, **more), catalog.as_distributor)


def active(catalog: make.Catalog, n: int = 1) -> TierConfig:
    row = setup(catalog, reseller(catalog, n))
    act(row, "approve", catalog.as_vendor, **TILE)
    return TierConfig.objects.get(pk=row.configuration_id)


@pytest.fixture
def catalog() -> make.Catalog:
    return create_catalog()


@pytest.fixture
def one(catalog: make.Catalog) -> TierAccount:
    return reseller(catalog, 1)


@pytest.fixture
def two(catalog: make.Catalog) -> TierAccount:
    return reseller(catalog, 2)


class TestWaitingOrders:
    def test_approval_releases_all_waiting_orders(
        self, catalog: make.Catalog, one: TierAccount, two: TierAccount
    ) -> None:
        first, second, elses = order(catalog, one), order(catalog, one), order(catalog, two)
        assert TierConfigRequest.objects.count() == 2
        before = len(notified())
        act(of(one), "approve", catalog.as_vendor, **TILE)
        rows = [Request.objects.get(pk=r.pk) for r in (first, second, elses)]
        assert [r.status for r in rows] == ["pending", "pending", "tiers_setup"]
        waited = sorted((row.created, row.pk) for row in (first, second))
        assert notified()[before:] == [
            *((pk, "tiers_setup", "pending") for _, pk in waited),
            (of(one).pk, "pending", "approved"),
        ]
        assert of(one).configuration.status == "active"
        assert order(catalog, one).status == "pending"
        assert TierConfigRequest.objects.count() == 2

    @pytest.mark.parametrize(
        ("capabilities", "scope", "waits"),
        [
            ({}, "tier1", []),
            ({"tiers": {"configs": None}}, "tier1", []),
            ({"tiers": {"configs": {"configs": False, "level": 2}}}, "tier1", []),
            ({"tiers": {"configs": {"level": 1}}}, "tier1", [1]),
            (capable(1), "asset", []),
            (capable(1), "product", []),
            (capable(1), "tier1", [1]),
            (capable(1), "tier2", []),
            (capable(2), "tier2", [2]),
        ],
    )
    def test_order_does_not_wait_for_a_reseller_that_is_set_up(
        self, capabilities: Any, scope: str, waits: list[int]
    ) -> None:
        catalog = make.catalog(capabilities=capabilities)
        make.parameter(catalog, "code", scope=scope)
        row = order(catalog, reseller(catalog, 1), reseller(catalog, 2))
        levels = TierConfigRequest.objects.values_list("configuration__tier_level", flat=True)
        assert list(levels) == waits
        assert row.status == ("tiers_setup" if waits else "pending")

    def test_change_waits_and_cancellation_does_not(self, catalog: make.Catalog) -> None:
        asset = make.asset(catalog, 1)
        body = {
            "type": "change",
            "asset": {"id": asset.pk, "items": [{"id": catalog.item.pk, "quantity": 2}]},
        }
        assert orders.create(body, catalog.as_distributor).status == "tiers_setup"
        asset = make.asset(catalog, 2)
        body = {"type": "cancel", "asset": {"id": asset.pk}}
        assert orders.create(body, catalog.as_distributor).status == "pending"
        assert TierConfigRequest.objects.count() == 1

    def test_open_update_does_not_hold_orders(self, catalog: make.Catalog) -> None:
        row = active(catalog)
        creation.create({"configuration": {"id": row.pk}}, catalog.as_distributor)
        row.refresh_from_db()
        assert row.status == "processing"
        first = order(catalog, row.account)
        assert first.status == "pending"
        act(of(row.account), "fail", catalog.as_vendor, reason="Not now.")
        first.refresh_from_db()
        assert first.status == "pending"

    def test_setup_draft_does_not_count_as_setup(self, catalog: make.Catalog) -> None:
        account = reseller(catalog, 1)
        draft = setup(catalog, account, status="draft")
        assert draft.status == "draft"
        assert (order(catalog, account).status, of(account).status) == ("tiers_setup", "pending")
        assert of(account).pk.endswith("-002")
        with pytest.raises(Refused, match="There is a request"):
            act(draft, "submit", catalog.as_distributor)


class TestActions:
    def test_approval_copies_values_to_the_configuration(self, catalog: make.Catalog) -> None:
        template = Template.objects.create(
            id="TL-999-000-001",
            product=catalog.product,
            name="T",
            scope="tier1",
            body="# Hello",
            type="fulfillment",
            created=make.AT,
            updated=make.AT,
        )
        row = setup(catalog, reseller(catalog, 1), params=[{"id": "tier1_ask", "value": "A-1"}])
        creation.edit(row.pk, {"params": [{"id": "tier1_set", "value": "t-1"}]}, catalog.as_vendor)
        row = act(row, "approve", catalog.as_vendor)
        assert row.template == template and row.effective_date == row.updated
        held = TierConfig.objects.get()
        assert {p["id"]: p["value"] for p in held.params} == {
            "tier1_ask": "A-1",
            "tier1_set": "t-1",
        }
        assert (held.template, held.status, held.activated) == (template, "active", row.updated)

    def test_approval_requires_values_and_a_template(self, catalog: make.Catalog) -> None:
        row = setup(catalog, reseller(catalog, 1))
        with pytest.raises(Refused, match=r"Missed fields: template\.id"):
            act(row, "approve", catalog.as_vendor)
        with pytest.raises(Invalid, match=r"template.id: Template TL-1 does not exist"):
            act(row, "approve", catalog.as_vendor, template={"id": "TL-1"})
        with pytest.raises(Invalid, match="does not exist"):
            act(row, "approve", catalog.as_vendor, template={"id": catalog.template.pk})
        row.params[1]["constraints"]["required"] = True
        row.save()
        with pytest.raises(Invalid, match="params: Parameter tier1_set is required"):
            act(row, "approve", catalog.as_vendor, **TILE)
        assert TierConfigRequest.objects.get().status == "pending"

    def test_inquired_request_is_submitted_again(self, catalog: make.Catalog) -> None:
        row = setup(catalog, reseller(catalog, 1))
        with pytest.raises(Refused, match="at least one parameter"):
            act(row, "inquire", catalog.as_vendor)
        wrong = {"params": [{"id": "tier1_ask", "value": "x", "value_error": "Too short."}]}
        creation.edit(row.pk, wrong, catalog.as_vendor)
        row = act(row, "inquire", catalog.as_vendor)
        assert (row.status, row.assignee, row.inquired) == (
            "inquiring",
            catalog.vendor_user,
            row.updated,
        )
        with pytest.raises(Invalid, match="link is not valid"):
            act(row, "pend", catalog.as_distributor, code="x", params=[])
        with pytest.raises(Invalid, match="params: This field is required"):
            act(row, "pend", catalog.as_distributor, code=row.form_code)
        params = [{"id": "tier1_ask", "value": "long enough"}]
        row = act(row, "pend", catalog.as_distributor, code=row.form_code, params=params)
        assert (row.status, row.params[0]["value"], row.params[0]["value_error"]) == (
            "pending",
            "long enough",
            "",
        )

    @pytest.mark.parametrize("outcome", ["approve", "fail"])
    @pytest.mark.parametrize("kind", ["update", "adjustment"])
    def test_approved_changes_are_applied_and_failed_ones_are_not(
        self, catalog: make.Catalog, kind: str, outcome: str
    ) -> None:
        held = active(catalog)
        body = {
            "type": kind,
            "configuration": {"id": held.pk},
            "params": [{"id": "tier1_set", "value": "new"}],
        }
        row = creation.create(body, catalog.as_vendor)
        assert (row.status, row.pk[-3:]) == ("pending", "002")
        assert row.previous_approved_request_id == f"{row.pk[:-3]}001"
        assert TierConfig.objects.get().status == "processing"
        act(row, outcome, catalog.as_vendor, **TILE)
        held.refresh_from_db()
        assert held.status == "active"
        value = {p["id"]: p["value"] for p in held.params}["tier1_set"]
        assert value == ("new" if outcome == "approve" else "")


class TestCreation:
    def test_setup_with_a_missing_parent_creates_both(
        self, catalog: make.Catalog, one: TierAccount, two: TierAccount
    ) -> None:
        row = setup(catalog, one, configuration={"parent_account": {"id": two.pk}})
        assert (row.status, of(two).status) == ("tiers_setup", "pending")
        assert notified() == [(of(two).pk, "", "pending"), (row.pk, "", "tiers_setup")]

    def test_parent_of_the_account_is_the_upper_tier(
        self, catalog: make.Catalog, one: TierAccount, two: TierAccount
    ) -> None:
        one.parent = two
        one.save()
        row = setup(catalog, one)
        assert row.status == "tiers_setup"
        assert row.configuration.parent is not None
        assert row.configuration.parent.account == two

    def test_body_with_an_account_creates_it(self, catalog: make.Catalog) -> None:
        account = {"name": "New", "external_uid": "u-1", "contact_info": make.CONTACT}
        body = setup_body(catalog, reseller(catalog, 1))
        body["configuration"]["account"] = account
        row = creation.create(body, catalog.as_distributor)
        assert (row.configuration.account.name, row.configuration.account.type) == (
            "New",
            "reseller",
        )

    @pytest.mark.parametrize("kind", ["setup", "update", "adjustment"])
    @pytest.mark.parametrize("on", [True, False])
    @pytest.mark.parametrize("party", "VD")
    def test_draft_requires_the_capability(self, kind: str, on: bool, party: str) -> None:
        catalog = create_catalog(level=1, update={"validation": on})
        catalog.product.capabilities["tiers"]["validation"] = on
        catalog.product.save()
        if kind == "setup":
            if party == "V":
                return
            row = setup(catalog, reseller(catalog, 1), status="draft")
        else:
            body = {"type": kind, "status": "draft", "configuration": {"id": active(catalog).pk}}
            row = creation.create(body, actor(catalog, party))
        is_draft = on and kind != "adjustment" and party == "D"
        assert row.status == ("draft" if is_draft else "pending")
        events = [event for event in notified() if event[0] == row.pk]
        assert events == ([] if is_draft else [(row.pk, "", "pending")])
        if is_draft:
            row = act(row, "submit", catalog.as_distributor)
            assert row.status == "pending"
            assert TierConfig.objects.get().status == "processing"

    def test_submitted_draft_may_wait_for_the_upper_tier(
        self, catalog: make.Catalog, one: TierAccount, two: TierAccount
    ) -> None:
        row = setup(catalog, one, status="draft", configuration={"parent_account": {"id": two.pk}})
        assert TierConfigRequest.objects.count() == 1
        row = act(row, "submit", catalog.as_distributor)
        assert (row.status, of(two).status) == ("tiers_setup", "pending")

    def test_type_must_match_the_configurations_status(self, catalog: make.Catalog) -> None:
        row = creation.create(setup_body(catalog, active(catalog).account), catalog.as_distributor)
        assert row.type == "update"

    def test_configuration_has_one_open_request(self, catalog: make.Catalog) -> None:
        row = setup(catalog, reseller(catalog, 1))
        with pytest.raises(Refused) as refused:
            creation.create({"configuration": {"id": row.configuration_id}}, catalog.as_distributor)
        assert refused.value.status == 409
        assert refused.value.params == {"request_id": row.pk, "request_status": "pending"}
        act(row, "approve", catalog.as_vendor, **TILE)
        again = setup_body(catalog, row.configuration.account, type="setup")
        with pytest.raises(ActionNotAllowed, match="is set up already"):
            creation.create(again, catalog.as_distributor)

    def test_update_requires_an_active_configuration(self, catalog: make.Catalog) -> None:
        account = reseller(catalog, 1)
        with pytest.raises(ActionNotAllowed, match="update is for active ones only"):
            creation.create(setup_body(catalog, account, type="update"), catalog.as_distributor)
        assert not TierConfig.objects.exists()

    def test_invalid_input_creates_nothing(self) -> None:
        catalog = create_catalog(level=1)
        other = make.catalog("2", capabilities=capable(1))
        good = setup_body(catalog, reseller(catalog, 1))["configuration"]
        cases: list[tuple[Any, str]] = [
            ({}, "configuration: This field is required."),
            ({"configuration": []}, "configuration: Expected an object."),
            ({"configuration": {}}, "configuration: This field is required."),
            ({"type": "new", "configuration": good}, 'type: "new" is not a valid choice.'),
            ({"type": {}, "configuration": good}, 'type: "{}" is not a valid choice.'),
            ({"type": [1], "configuration": good}, r'type: "\[1\]" is not a valid choice.'),
            ({"configuration": {"id": "TC-1"}}, "Object `TC-1` not found."),
            ({"configuration": {**good, "product": None}}, "product.id: This field is required."),
            ({"configuration": {**good, "product": {"id": other.product.pk}}}, "does not exist"),
            ({"configuration": {**good, "tier_level": None}}, "tier_level: This field is required"),
            ({"configuration": {**good, "tier_level": 3}}, 'tier_level: "3" is not a valid choice'),
            ({"configuration": {**good, "tier_level": True}}, 'tier_level: "True" is not a valid'),
            ({"configuration": {**good, "tier_level": 2}}, "doesn't configure resellers of tier 2"),
            ({"configuration": {**good, "account": None}}, "account: This field is required."),
            ({"configuration": {**good, "account": {"id": "TA-1"}}}, "TA-1 does not exist"),
            ({"configuration": {**good, "account": "x"}}, "account: Expected an object."),
            ({"configuration": {**good, "account": {"name": "x"}}}, "contact_info: This field"),
            (
                {"configuration": {**good, "connection": {"id": other.connection.pk}}},
                "Connection CT-2222-2222-2222 does not exist",
            ),
            ({"configuration": {**good, "marketplace": {"id": "MP-22222"}}}, "There is no Listing"),
            ({"configuration": good, "params": {}}, "params: Expected a list"),
            ({"configuration": good, "params": [{"id": "nope"}]}, "nope does not exist"),
            (
                {"configuration": good, "params": [{"id": "tier1_set", "value": "x"}]},
                "cannot be set",
            ),
            ({"configuration": good, "notes": True}, "notes: Not a valid string."),
            ({"configuration": good, "notes": "x" * 2001}, "no more than 2000 characters"),
        ]
        before = everything()
        for body, sentence in cases:
            with pytest.raises(Refused, match=sentence):
                creation.create(body, catalog.as_distributor)
            assert everything() == before, body


class TestDue:
    def test_stale_drafts_are_deleted_with_their_configurations(
        self, catalog: make.Catalog, one: TierAccount, two: TierAccount
    ) -> None:
        setup(catalog, one, status="draft", configuration={"parent_account": {"id": two.pk}})
        assert TierConfig.objects.count() == 2
        due.run(now=clock.now() + timedelta(days=settings.SIM_DRAFT_DAYS - 1))
        assert TierConfigRequest.objects.count() == 1
        due.run(now=clock.now() + timedelta(days=settings.SIM_DRAFT_DAYS + 1))
        assert not TierConfigRequest.objects.exists() and not TierConfig.objects.exists()

    def test_number_is_not_reused(self, catalog: make.Catalog) -> None:
        account = reseller(catalog, 1)
        draft = setup(catalog, account, status="draft")
        order(catalog, account)
        due.run(now=clock.now() + timedelta(days=settings.SIM_DRAFT_DAYS + 1))
        assert not TierConfigRequest.objects.filter(pk=draft.pk).exists()
        assert TierConfig.objects.count() == 1
        act(of(account), "approve", catalog.as_vendor, **TILE)
        assert setup(catalog, account).pk.endswith("-003")


class TestSamples:
    @pytest.mark.parametrize("kind", ["setup", "update", "adjustment"])
    def test_sample_of_each_type_on_an_empty_platform(self, kind: str) -> None:
        catalog = create_catalog(required=True)
        row = samples.create_sample(kind, catalog.product)
        assert isinstance(row, TierConfigRequest)
        assert (row.type, row.status, row.product) == (kind, "pending", catalog.product)
        assert samples.create_sample(kind).pk != row.pk

    def test_product_without_resellers_has_no_sample(self) -> None:
        catalog = make.catalog()
        with pytest.raises(Refused, match="configures resellers"):
            samples.create_sample("setup", catalog.product)
        with pytest.raises(Invalid, match="not a valid choice"):
            samples.create_sample("new", None)
