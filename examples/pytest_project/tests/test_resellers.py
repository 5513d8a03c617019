import pytest

REQUIRED = {"required": True}


@pytest.fixture
def product(connect_sim):
    """A product whose resellers are set up first."""
    return connect_sim.product(
        params=[
            {"name": "domain", "scope": "tier1", "constraints": REQUIRED},
            {
                "name": "reseller_id",
                "scope": "tier1",
                "phase": "fulfillment",
                "constraints": REQUIRED,
            },
        ]
    )


@pytest.fixture
def webhook(connect_sim, product, resellers_url, secret):
    return connect_sim.webhook(product, resellers_url, "tier_config_request", secret=secret)


def approvals(connect_sim, setup):
    """Return the statuses of the handler's approve calls."""
    calls = [entry["data"] for entry in connect_sim.timeline(setup, "api_call")]
    return [call["status"] for call in calls if call["path"].endswith("/approve")]


def test_reseller_is_set_up(connect_sim, product, webhook):
    setup = connect_sim.tier_config(product, {"domain": "reseller.example"})
    connect_sim.expect(setup).status("approved")
    connect_sim.expect(webhook).delivered(attempts_at_most=1)
    assert setup.params["reseller_id"].startswith("env-TC-")


def test_each_of_several_resellers_is_approved_by_one_call(connect_sim, product, webhook):
    setups = [connect_sim.tier_config(product, {"domain": f"{n}.example"}) for n in range(3)]
    for setup in setups:
        connect_sim.expect(setup).status("approved")
    connect_sim.expect().idle()
    assert [approvals(connect_sim, setup) for setup in setups] == [[200], [200], [200]]
