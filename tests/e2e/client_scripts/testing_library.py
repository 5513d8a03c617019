"""Every function of the testing library: builder, dispatcher, assertions."""

import json
import os
import tempfile
from pathlib import Path

from bodies import CONNECTIONS, METER, PLAIN, PROVIDER_KEY, SUITE, URL, VENDOR_KEY
from connect.client import ClientError, ConnectClient
from connect.devops_testing import asserts, fixtures
from connect.devops_testing.request import Builder, Dispatcher

Refused = ClientError
MARKETPLACE = "MP-40117"
CONTACTS = {PLAIN: "contact_email", METER: "report_email"}
SOON = {"timeout": 0.2, "max_attempts": 100}

# Each way to configure the server's URL.
os.environ |= {"CONNECT_API_URL": URL, "CONNECT_API_KEY": PROVIDER_KEY}
by_environment = fixtures.make_request_dispatcher(use_specs=False, **SOON)
by_arguments = fixtures.make_request_dispatcher(VENDOR_KEY, URL, False, **SOON)
with_specs = Dispatcher(
    ConnectClient(PROVIDER_KEY, endpoint=URL, use_specs=True, specs_location=os.environ["SPECS"]),
    0.2,
    100,
)


def order(product=PLAIN, contact="it@example.com"):
    """Return a builder of an order that uses all methods of the library."""
    # Read-only prices, names and statuses are ignored.
    return (
        Builder.from_default_asset()
        .with_status("pending")
        .with_note("Ordered by the library.")
        .with_reason("Anything.")
        .with_asset_status("active")
        .with_asset_product(product, "Any name")
        .with_asset_marketplace(MARKETPLACE, "Any name")
        .with_contract("CRD-41020-88713-20954", "distribution", "Any name")
        .with_asset_connection(
            CONNECTIONS[product],
            "test",
            {"id": "PA-318-442", "name": "Any"},
            {"id": "VA-610-138", "name": "Any"},
            {"id": "HB-7710-3391", "name": "Any"},
        )
        .with_asset_external_id("random")
        .with_asset_external_uid("random")
        .with_asset_tier_customer("random")
        .with_asset_tier_tier1("random")
        .with_asset_tier_tier2("TA-6120-4478-0045")
        .with_asset_items(
            [
                {
                    "item_id": f"{product}-0001",
                    "item_mpn": "ANY",
                    "quantity": "4",
                    "params": [{"param_id": "any", "value": "thing"}],
                }
            ]
        )
        .with_asset_params([{"param_id": CONTACTS[product], "value": contact}])
        .with_asset_configuration_params([{"param_id": "any", "value": "thing"}])
    )


def about(asset, kind):
    return Builder().with_type(kind).with_asset_id(asset["id"])


def life():
    """Return the processed requests of one subscription."""
    bought = with_specs.provision_request(order(METER).build())
    asset = bought["asset"]
    more = about(asset, "change").with_asset_item(f"{METER}-0001", "NM-PLATFORM", "9").build()
    changed = by_environment.provision_request(more)
    adjusted = by_arguments.provision_request(
        about(asset, "adjustment").with_asset_param("workspace_id", "ws-adjusted").build()
    )
    kinds = ("suspend", "resume", "cancel")
    return [
        bought,
        changed,
        adjusted,
        *(by_environment.provision_request(about(asset, kind).build()) for kind in kinds),
    ]


def described(error):
    return {"status": error.status_code, "error_code": error.error_code, "errors": error.errors}


def set_up(agreement):
    return (
        Builder.from_default_tier_config()
        .with_tier_configuration_product(SUITE, "Any name")
        .with_tier_configuration_marketplace(MARKETPLACE, "Any name")
        .with_tier_configuration_connection(
            CONNECTIONS[SUITE],
            "test",
            {"id": "PA-318-442"},
            {"id": "VA-610-138"},
            {"id": "HB-7710-3391"},
        )
        .with_tier_configuration_account("random")
        .with_tier_configuration_status("processing")
        .with_tier_configuration_configuration_param("any", "thing")
        .with_tier_configuration_tier_level(1)
        .with_tier_configuration_params([{"param_id": "partner_agreement", "value": agreement}])
    )


def from_file(request):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "request.json"
        path.write_text(json.dumps(request))
        return fixtures.make_request_builder(str(path)).without("asset").with_id("X").build()


def holds(assertion, *arguments):
    assertion(*arguments)
    return True


def denies(assertion, *arguments):
    try:
        assertion(*arguments)
    except AssertionError as error:
        return str(error)
    return ""


def checked(request, inquired, tier):
    """Return the result of each assertion for a true and for a false statement."""
    pk = request["id"]
    facts = {
        asserts.request_id: (request, pk),
        asserts.request_status: (request, "approved"),
        asserts.request_type: (request, "purchase"),
        asserts.request_reason: (request, ""),
        asserts.request_note: (request, "Ordered by the library."),
        asserts.asset_status: (request, "active"),
        asserts.asset_param_value_equal: (request, "activation_id", f"ID:{pk}"),
        asserts.asset_param_value_match: (request, "activation_id", r"^ID:PR-\d{4}"),
        asserts.asset_param_value_contains: (request, "activation_id", "PR-"),
        asserts.asset_param_value_error_equal: (inquired, "contact_email", "Nobody reads this."),
        asserts.asset_param_value_error_match: (inquired, "contact_email", "^Nobody"),
        asserts.asset_param_value_error_contains: (inquired, "contact_email", "reads"),
        asserts.tier_configuration_status: (tier, "active"),
        asserts.request_param_value_equal: (tier, "partner_agreement", "NS-1"),
        asserts.request_param_value_match: (tier, "partner_tenant", "^ID:TCR-"),
        asserts.request_param_value_contains: (tier, "partner_tenant", "TCR"),
        asserts.request_param_value_error_equal: (tier, "partner_agreement", ""),
        asserts.tier_configuration_param_value_equal: (tier, "partner_agreement", "NS-1"),
        asserts.tier_configuration_param_value_match: (tier, "partner_tenant", "^ID:"),
        asserts.tier_configuration_param_value_contains: (tier, "partner_tenant", "TCR"),
        asserts.tier_configuration_param_value_error_equal: (tier, "partner_agreement", ""),
    }
    opposites = {
        asserts.asset_param_value_not_equal: (request, "activation_id", "another"),
        asserts.asset_param_value_error_not_equal: (inquired, "contact_email", ""),
        asserts.request_param_value_not_equal: (tier, "partner_tenant", ""),
        asserts.request_param_value_error_not_equal: (tier, "partner_tenant", "wrong"),
        asserts.tier_configuration_param_value_not_equal: (tier, "partner_tenant", ""),
        asserts.tier_configuration_param_value_error_not_equal: (tier, "partner_tenant", "wrong"),
    }
    return {
        "true": [
            name.__name__
            for name, arguments in {**facts, **opposites}.items()
            if holds(name, *arguments)
        ],
        "denied": {
            name.__name__: denies(name, *arguments[:-1], "something else")
            for name, arguments in facts.items()
        },
    }
