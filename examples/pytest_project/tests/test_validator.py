import pytest


@pytest.fixture
def product(connect_sim, validator_url, orders_url, secret):
    """A product with a validator, and a handler of its orders."""
    product = connect_sim.product()
    connect_sim.webhook(product, validator_url, type="validator", secret=secret)
    connect_sim.webhook(product, orders_url, secret=secret)
    return product


def test_draft_with_a_taken_domain_gets_an_error(connect_sim, product):
    order = connect_sim.purchase(product, params={"domain": "acme.example"})
    connect_sim.expect(order).status("approved")
    draft = connect_sim.purchase(product, params={"domain": "acme.example"}, draft=True)
    assert connect_sim.validate(draft).errors == {"domain": "Another customer has this domain."}


def test_corrected_draft_can_be_ordered(connect_sim, product):
    draft = connect_sim.purchase(product, draft=True)
    wrong = connect_sim.validate(draft, {"domain": "gmail.com"})
    assert wrong.errors == {"domain": "Take a domain of your own."}
    assert connect_sim.validate(draft, {"domain": "acme.example"}).errors == {}
    connect_sim.move(draft, "purchase")
    connect_sim.expect(draft).status("approved")
