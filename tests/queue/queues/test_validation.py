"""Validation of an object: the body, changes by the handler, and concurrent changes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection

from requests_queue.catalog.models import Asset, TierAccount
from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.tier_config.models import TierConfigRequest
from tests import make
from tests.api import Caller, Response, caller, refused
from tests.handlers import Handler, ReceivedRequest, handler
from webhooks.delivery import validators as loop
from webhooks.models import Event, Webhook

pytestmark = pytest.mark.django_db(transaction=True)

CAPABILITIES = {
    "cart": {"validation": True},
    "inquiring": {"validation": True},
    "subscription": {"change": {"validation": True}},
    "tiers": {
        "validation": True,
        "configs": {"configs": True, "level": 2, "setup": {"inquiring_validation": True}},
    },
}
CHOICES = {"choices": [{"value": "eu", "label": "EU"}, {"value": "us", "label": "US"}]}
# Edits the sent object in place, or returns another response.
Edit = Callable[[dict[str, Any]], Any]


@pytest.fixture(autouse=True)
def stopped() -> Iterator[None]:
    yield
    loop.stop()
    loop.start()


@pytest.fixture
def catalog() -> make.Catalog:
    catalog = make.catalog(capabilities=CAPABILITIES)
    make.parameter(catalog, "region", type="dropdown", constraints=CHOICES)
    make.parameter(catalog, "alias")
    make.parameter(catalog, "tenant", phase="fulfillment")
    return catalog


@pytest.fixture
def validator() -> Iterator[Handler]:
    """A handler that returns the received object until a test sets another response."""
    with handler(lambda request: (200, json.dumps(request.json).encode())) as served:
        yield served


def respond_with(validator: Handler, edit: Edit) -> None:
    """Let the handler respond with the object changed by `edit`."""

    def respond(request: ReceivedRequest) -> tuple[int, bytes]:
        body = request.json
        result = edit(body)
        connection.close()
        return 200, json.dumps(body if result is None else result).encode()

    validator.respond = respond


def listening(
    catalog: make.Catalog, validator: Handler, type_: str = "validator", **more: Any
) -> Webhook:
    return make.webhook(catalog, validator.url, type=type_, **more)


def draft(caller: Caller, catalog: make.Catalog, *params: dict[str, Any], **more: Any) -> Any:
    asset = {"params": list(params), **more}
    created = caller.post("/requests", make.purchase(catalog, status="draft", asset=asset))
    assert (created.status, created.json["status"]) == (201, "draft"), created
    return created.json


def param(shown: dict[str, Any], pk: str = "region") -> Any:
    params = shown["asset"]["params"] if "asset" in shown else shown["params"]
    return next(p for p in params if p["id"] == pk)


def of(pk: str, **changes: Any) -> dict[str, Any]:
    """Return a body with one parameter."""
    return {"asset": {"params": [{"id": pk, **changes}]}}


def complain(text: str, pk: str = "region") -> Edit:
    def edit(body: dict[str, Any]) -> None:
        param(body, pk)["value_error"] = text

    return edit


@pytest.fixture
def hook(catalog: make.Catalog, validator: Handler) -> Webhook:
    return listening(catalog, validator)


@pytest.fixture
def created(hook: Webhook, distributor: Caller, catalog: make.Catalog) -> Any:
    """A draft that has a validator."""
    return draft(distributor, catalog, {"id": "region", "value": "us"})


@pytest.fixture
def vendor(catalog: make.Catalog) -> Caller:
    return caller(catalog.vendor)


@pytest.fixture
def distributor(catalog: make.Catalog) -> Caller:
    return caller(catalog.provider)


class TestBodies:
    def test_the_handler_sees_the_object_with_the_body_applied(
        self,
        distributor: Caller,
        catalog: make.Catalog,
        validator: Handler,
        created: dict[str, Any],
    ) -> None:
        body = {
            "note": "In a hurry.",
            "asset": {
                "params": [{"id": "region", "value": "eu"}, {"id": "alias", "value": "harbour"}],
                "items": [{"id": catalog.item.id, "quantity": 9}],
            },
        }
        response = distributor.post(f"/requests/{created['id']}/validate", body)
        sent = validator.next().json
        assert (sent["id"], sent["status"], sent["note"]) == (created["id"], "draft", "In a hurry.")
        assert (param(sent)["value"], param(sent, "alias")["value"]) == ("eu", "harbour")
        assert sent["asset"]["items"][0]["quantity"] == "9"
        assert response.status == 200
        assert response.json == distributor.get(f"/requests/{created['id']}").json
        # Merging the response updates it again, possibly a second later.
        at = {"events": response.json["asset"]["events"]}
        assert response.json["asset"] == sent["asset"] | at
        # A purchase and its asset share their parameters.
        assert Asset.objects.get().params == response.json["asset"]["params"]

    def test_a_new_tier_in_the_body_is_kept_once(
        self, distributor: Caller, validator: Handler, created: dict[str, Any]
    ) -> None:
        before = TierAccount.objects.count()
        tiers = {
            "customer": {"name": "Cedar Books", "contact_info": make.CONTACT},
            "tier1": {"id": created["asset"]["tiers"]["tier1"]["id"]},
        }
        response = distributor.post(
            f"/requests/{created['id']}/validate", {"asset": {"tiers": tiers}}
        )
        assert response.json["asset"]["tiers"]["customer"]["name"] == "Cedar Books"
        assert validator.next().json["asset"]["tiers"]["customer"]["name"] == "Cedar Books"
        assert TierAccount.objects.count() == before + 1

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (of("region", value="mars"), "asset.params: Parameter region: 'mars' is not one of"),
            (of("nobody", value="x"), "asset.params: Parameter nobody does not exist."),
            (of("tenant", value="x"), "asset.params: Parameter tenant of the fulfillment phase"),
            ({"asset": {"params": "x"}}, "asset.params: Expected a list of items"),
            ({"asset": {"items": []}}, "asset.items: This list may not be empty."),
            ({"asset": []}, "asset: "),
        ],
    )
    def test_invalid_body_makes_no_call(
        self,
        distributor: Caller,
        validator: Handler,
        body: Any,
        message: str,
        created: dict[str, Any],
        hook: Webhook,
    ) -> None:
        response = distributor.post(f"/requests/{created['id']}/validate", body)
        refused(response, 400)
        assert response.json["errors"][0].startswith(message)
        assert distributor.get(f"/requests/{created['id']}").json == created
        hook.refresh_from_db()
        assert (validator.received, hook.events, hook.triggers) == ([], 0, 0)

    def test_body_is_applied_without_a_validator(
        self, distributor: Caller, catalog: make.Catalog
    ) -> None:
        created = draft(distributor, catalog, {"id": "region", "value": "us"})
        same = distributor.post(f"/requests/{created['id']}/validate", {})
        assert (same.status, same.json) == (200, created)
        response = distributor.post(f"/requests/{created['id']}/validate", of("region", value="eu"))
        assert param(response.json)["value"] == "eu"
        assert response.json == distributor.get(f"/requests/{created['id']}").json

    def test_unchanged_request_keeps_its_update_time(
        self, distributor: Caller, created: dict[str, Any]
    ) -> None:
        Request.objects.update(updated=make.AT)
        response = distributor.post(f"/requests/{created['id']}/validate", of("region", value="us"))
        assert response.status == 200
        assert Request.objects.get().updated == make.AT


class TestErrors:
    def test_new_value_clears_its_error(
        self, distributor: Caller, validator: Handler, created: dict[str, Any]
    ) -> None:
        """A new value clears the error even if the handler never clears errors."""

        def only_adds(body: dict[str, Any]) -> None:
            if param(body)["value"] == "us":
                param(body)["value_error"] = "Not offered"

        respond_with(validator, only_adds)
        path = f"/requests/{created['id']}"
        assert param(distributor.post(f"{path}/validate", {}).json)["value_error"] == "Not offered"
        # The error stays if another value changes; repeating an error is no change.
        other = distributor.post(f"{path}/validate", of("alias", value="x"))
        assert param(other.json)["value_error"] == "Not offered"
        corrected = copy.deepcopy(other.json["asset"]["params"])
        next(p for p in corrected if p["id"] == "region")["value"] = "eu"
        clean = distributor.post(f"{path}/validate", {"asset": {"params": corrected}})
        assert (param(clean.json)["value"], param(clean.json)["value_error"]) == ("eu", "")


class TestLimitsOfHandlers:
    def test_handler_cannot_change_items_tiers_or_status(
        self, distributor: Caller, validator: Handler, created: dict[str, Any], hook: Webhook
    ) -> None:
        def meddle(body: dict[str, Any]) -> None:
            body["status"], body["type"], body["note"] = "approved", "cancel", "Hacked"
            body["asset"]["items"][0]["quantity"] = "1000"
            body["asset"]["tiers"]["customer"]["name"] = "Somebody"
            body["asset"]["params"].append({"id": "extra", "value": "x"})
            param(body, "alias")["value"] = "harbour"

        respond_with(validator, meddle)
        response = distributor.post(f"/requests/{created['id']}/validate", {})
        assert response.status == 200
        param(created, "alias")["value"] = "harbour"
        assert _timeless(response.json) == _timeless(created)
        hook.refresh_from_db()
        assert hook.last_success is not None
        assert hook.last_success.why == (
            "Merged: alias (value). Ignored: unknown parameter extra, type, "
            "status, note, asset.items, asset.tiers."
        )

    @pytest.mark.parametrize(
        ("edit", "required", "status"),
        [
            (lambda body: param(body).update(value_error="Not offered"), False, "pending"),
            (
                lambda body: param(body, "licence")["constraints"].update(hidden=True),
                True,
                "pending",
            ),
            (
                lambda body: param(body, "licence")["constraints"].update(required=True),
                False,
                "inquiring",
            ),
        ],
        ids=["error", "hidden", "required"],
    )
    def test_purchase_ignores_errors_and_follows_constraints(
        self,
        catalog: make.Catalog,
        distributor: Caller,
        validator: Handler,
        hook: Webhook,
        edit: Edit,
        required: bool,
        status: str,
    ) -> None:
        make.parameter(catalog, "licence", constraints={"required": required})
        path = f"/requests/{draft(distributor, catalog)['id']}"
        respond_with(validator, edit)
        distributor.post(f"{path}/validate", {})
        response = distributor.post(f"{path}/purchase")
        assert (response.status, response.json["status"]) == (200, status)

    def test_removed_choice_cannot_be_ordered(
        self, distributor: Caller, validator: Handler, created: dict[str, Any]
    ) -> None:
        def narrow(body: dict[str, Any]) -> None:
            param(body)["value_choices"] = [{"value": "us", "label": "US only"}]

        respond_with(validator, narrow)
        distributor.post(f"/requests/{created['id']}/validate", {})
        refused(
            distributor.put(f"/requests/{created['id']}", of("region", value="eu")),
            400,
            "asset.params: Parameter region: 'eu' is not one of us.",
        )


def _timeless(shown: dict[str, Any]) -> dict[str, Any]:
    asset = {k: v for k, v in shown["asset"].items() if k != "events"}
    return {**{k: v for k, v in shown.items() if k != "updated"}, "asset": asset}


class TestConcurrentChanges:
    def test_put_during_the_call_is_kept(
        self, catalog: make.Catalog, validator: Handler, hook: Webhook
    ) -> None:
        distributor, second = caller(catalog.provider), caller(catalog.provider)
        created = draft(distributor, catalog, {"id": "alias", "value": "old"})

        def slow(body: dict[str, Any]) -> None:
            assert second.put(f"/requests/{created['id']}", of("alias", value="new")).status == 200
            param(body)["value_error"] = "Choose one"

        respond_with(validator, slow)
        response = distributor.post(f"/requests/{created['id']}/validate", {})
        assert param(response.json, "alias")["value"] == "new"
        assert param(response.json)["value_error"] == "Choose one"

    def test_purchase_during_the_call_wins(
        self, catalog: make.Catalog, validator: Handler, hook: Webhook
    ) -> None:
        distributor, second = caller(catalog.provider), caller(catalog.provider)
        pk = draft(distributor, catalog)["id"]

        def order(body: dict[str, Any]) -> None:
            assert second.post(f"/requests/{pk}/purchase").status == 200
            param(body)["value_error"] = "Too late"

        respond_with(validator, order)
        refused(
            distributor.post(f"/requests/{pk}/validate", of("alias", value="late")),
            400,
            f"{pk} became pending during its validation: the response of the validator "
            f"was too late.",
        )
        now = distributor.get(f"/requests/{pk}").json
        assert (now["status"], param(now)["value_error"], param(now, "alias")["value"]) == (
            "pending",
            "",
            "",
        )

    def test_draft_deleted_during_the_call_returns_404(
        self, distributor: Caller, validator: Handler, created: dict[str, Any]
    ) -> None:
        def delete(body: dict[str, Any]) -> None:
            Request.objects.all().delete()
            param(body)["value_error"] = "Gone"

        respond_with(validator, delete)
        refused(
            distributor.post(f"/requests/{created['id']}/validate", {}),
            404,
            f"Object `{created['id']}` not found.",
        )

    def test_validation_creates_no_event(
        self,
        distributor: Caller,
        catalog: make.Catalog,
        validator: Handler,
        created: dict[str, Any],
    ) -> None:
        make.webhook(catalog, n=2)
        respond_with(validator, complain("No"))
        distributor.post(f"/requests/{created['id']}/validate", {})
        [event] = Event.objects.all()
        assert (event.webhook.type, event.object_id) == ("validator", created["id"])


class TestPermissions:
    @pytest.mark.parametrize("role", ["vendor", "provider"])
    def test_both_parties_can_validate(
        self, catalog: make.Catalog, validator: Handler, role: str, created: dict[str, Any]
    ) -> None:
        respond_with(validator, complain("No"))
        response = caller(getattr(catalog, role)).post(f"/requests/{created['id']}/validate", {})
        assert (response.status, param(response.json)["value_error"]) == (200, "No")

    @pytest.mark.parametrize(
        "status", ["pending", "tiers_setup", "approved", "failed", "scheduled", "revoking"]
    )
    def test_only_draft_and_inquiring_requests_are_validated(
        self, distributor: Caller, validator: Handler, status: str, created: dict[str, Any]
    ) -> None:
        Request.objects.update(status=status)
        refused(
            distributor.post(f"/requests/{created['id']}/validate", {}),
            400,
            f"{created['id']} is {status}: validate is for draft or inquiring only.",
        )
        assert validator.received == []


class TestInquiries:
    def test_other_errors_are_kept(
        self, vendor: Caller, distributor: Caller, catalog: make.Catalog, validator: Handler
    ) -> None:
        listening(catalog, validator, "inquiring_validator")
        pk = distributor.post("/requests", make.purchase(catalog)).json["id"]
        marked = [{"id": "region", "value_error": "Where?"}, {"id": "alias", "value_error": "Who?"}]
        vendor.put(f"/requests/{pk}", {"asset": {"params": marked}})
        assert vendor.post(f"/requests/{pk}/inquire").json["status"] == "inquiring"
        response = distributor.post(f"/requests/{pk}/validate", of("region", value="eu"))
        assert response.json["status"] == "inquiring"
        errors = [param(response.json, name)["value_error"] for name in ("region", "alias")]
        assert errors == ["", "Who?"]
        sent = validator.next().json
        assert (sent["status"], param(sent)["value"]) == ("inquiring", "eu")
        done = distributor.post(f"/requests/{pk}/pend", of("alias", value="harbour"))
        assert (done.json["status"], param(done.json, "alias")["value_error"]) == ("pending", "")


class TestTiers:
    @pytest.fixture
    def tcr(self, catalog: make.Catalog, validator: Handler) -> Any:
        """A draft of a tier configuration request that has a validator."""
        listening(catalog, validator, "draft_tcr_t1_val", object_class="tier_config_request")
        make.parameter(catalog, "agreement", scope="tier1")
        body = {
            "type": "setup",
            "status": "draft",
            "configuration": {
                "product": {"id": catalog.product.id},
                "account": {"name": "Portland Resellers", "contact_info": make.CONTACT},
                "tier_level": 1,
            },
        }
        created = caller(catalog.provider).post("/tier/config-requests", body)
        assert (created.status, created.json["status"]) == (201, "draft"), created
        return created.json

    def validate(self, catalog: make.Catalog, pk: str, body: Any = None) -> Response:
        return caller(catalog.provider).post(f"/tier/config-requests/{pk}/validate", body)

    def test_response_has_params_at_the_top_or_in_the_configuration(
        self, catalog: make.Catalog, validator: Handler, tcr: dict[str, Any]
    ) -> None:
        pk = tcr["id"]
        entry = {"id": "agreement", "value_error": "Which one?"}
        top = {"params": [{**entry, "value_error": "At the top"}]}
        inside = {"configuration": {"params": [entry]}}
        respond_with(validator, lambda body: inside)
        assert param(self.validate(catalog, pk).json, "agreement")["value_error"] == "Which one?"
        respond_with(validator, lambda body: {**inside, **top})
        assert param(self.validate(catalog, pk).json, "agreement")["value_error"] == "At the top"

    def test_body_is_applied_and_the_flow_continues(
        self, catalog: make.Catalog, validator: Handler, tcr: dict[str, Any]
    ) -> None:
        pk = tcr["id"]
        body = {"params": [{"id": "agreement", "value": "A-1"}], "notes": "Urgent"}
        response = self.validate(catalog, pk, body)
        sent = validator.next().json
        assert (param(sent, "agreement")["value"], sent["notes"]) == ("A-1", "Urgent")
        assert response.json == caller(catalog.provider).get(f"/tier/config-requests/{pk}").json
        assert caller(catalog.provider).post(f"/tier/config-requests/{pk}/submit").status == 200
        assert TierConfigRequest.objects.get().status == "pending"

    def test_another_configurations_id_is_refused(
        self, catalog: make.Catalog, validator: Handler, tcr: dict[str, Any]
    ) -> None:
        respond_with(
            validator, lambda body: {"configuration": {"id": "TC-000-000-000", "params": []}}
        )
        response = self.validate(catalog, tcr["id"])
        refused(response, 400)
        assert "its configuration.id is 'TC-000-000-000'" in response.json["errors"][1]


def test_a_change_is_validated_without_touching_the_subscription(
    vendor: Caller, distributor: Caller, catalog: make.Catalog, validator: Handler
) -> None:
    def edit(body: dict[str, Any]) -> None:
        param(body, "alias").update(value="corrected", value_error="Look at this")

    listening(catalog, validator, "change_validator")
    respond_with(validator, edit)
    pk = distributor.post("/requests", make.purchase(catalog)).json["id"]
    asset = vendor.post(f"/requests/{pk}/approve").json["asset"]["id"]
    items = [{"id": catalog.item.id, "quantity": 7}]
    body = {"type": "change", "status": "draft", "asset": {"id": asset, "items": items}}
    created = distributor.post("/requests", body).json
    response = distributor.post(f"/requests/{created['id']}/validate", body)
    assert param(response.json, "alias")["value"] == "corrected"
    held = distributor.get(f"/assets/{asset}").json
    assert [p["value"] for p in held["params"] if p["id"] == "alias"] == [""]
    assert distributor.post(f"/requests/{created['id']}/submit").json["status"] == "pending"
    vendor.post(f"/requests/{created['id']}/approve")
    held = distributor.get(f"/assets/{asset}").json
    assert [p["value"] for p in held["params"] if p["id"] == "alias"] == ["corrected"]
