import pytest


@pytest.fixture
def product(connect_sim):
    """A fresh product, with the parameters `domain` and `activation_id`."""
    return connect_sim.product()


@pytest.fixture
def webhook(connect_sim, product, orders_url, secret):
    return connect_sim.webhook(product, orders_url, secret=secret)


def test_purchase_creates_an_environment(connect_sim, product, webhook, cloud):
    order = connect_sim.purchase(product, items={"mailbox": 5}, params={"domain": "acme.example"})
    connect_sim.expect(order).status("approved")
    connect_sim.expect(webhook).delivered(attempts_at_most=1)
    assert order.params["activation_id"] == f"env-{order.subscription}"
    assert cloud.environments[order.subscription]["domain"] == "acme.example"


def test_customer_is_asked_for_the_domain(connect_sim, product, webhook):
    order = connect_sim.purchase(product)
    connect_sim.expect(order).status("inquiring")
    connect_sim.move(order, "pend", asset={"params": [{"id": "domain", "value": "acme.example"}]})
    connect_sim.expect(order).status("approved")


def test_order_of_a_taken_domain_fails(connect_sim, product, webhook, cloud):
    cloud.create("another customer", "acme.example")
    order = connect_sim.purchase(product, params={"domain": "acme.example"})
    connect_sim.expect(order).status("failed")
    assert order.refresh()["reason"] == "acme.example has an environment already."


def test_subscription_is_suspended_resumed_and_cancelled(connect_sim, product, webhook, cloud):
    order = connect_sim.purchase(product, params={"domain": "acme.example"})
    connect_sim.expect(order).status("approved")
    connect_sim.expect(connect_sim.suspend(order)).status("approved")
    assert cloud.environments[order.subscription]["status"] == "stopped"
    connect_sim.expect(connect_sim.resume(order)).status("approved")
    assert cloud.environments[order.subscription]["status"] == "running"
    connect_sim.expect(connect_sim.cancel(order)).status("approved")
    assert cloud.environments == {}


def test_order_is_approved_after_an_outage_of_the_cloud(connect_sim, product, webhook, cloud):
    cloud.is_down = True
    order = connect_sim.purchase(product, params={"domain": "acme.example"})
    connect_sim.expect(webhook).called(2)  # the second time five minutes later
    cloud.is_down = False
    connect_sim.expect(order).status("approved", within="1d")


def test_forged_request_has_no_effect(connect_sim, product, orders_url):
    forged = connect_sim.webhook(product, orders_url, secret="JWT-of-somebody-else")
    order = connect_sim.purchase(product, params={"domain": "acme.example"})
    connect_sim.expect(forged).failed()
    connect_sim.expect(order).never_status("approved", within="1h")
