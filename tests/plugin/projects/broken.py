"""Tests that fail on purpose: their reports are judged by tests/plugin/test_with_sandbox.py."""

from __future__ import annotations


def test_handler_that_forgets_a_parameter(connect_sim, handler_url):
    tenant = {"name": "tenant", "phase": "fulfillment", "constraints": {"required": True}}
    product = connect_sim.product(params=[tenant])
    connect_sim.webhook(product, handler_url)
    order = connect_sim.purchase(product)
    connect_sim.expect(order).status("approved")


def test_handler_that_is_called_too_often(connect_sim, failing_url):
    product = connect_sim.product()
    webhook = connect_sim.webhook(product, failing_url)
    connect_sim.purchase(product)
    connect_sim.expect(webhook, soft=True).delivered(attempts_at_most=1)
    connect_sim.expect(webhook, soft=True).called(at_most=1)
