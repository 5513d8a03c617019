"""A first test of a handler: orders are approved, and forged requests are refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SECRET = "JWT-5b0c2f64-7d1e-4a0f-9e55-0c6a1d6a7f10"


@pytest.fixture(scope="session")
def handler_url(connect_sim_server):
    """Start handler.py, and return its URL. To test your own handler, start it here."""
    variables = {
        "CONNECT_API_URL": connect_sim_server.api_url,
        "CONNECT_API_KEY": f"ApiKey {connect_sim_server.vendor_key}",
        "JWT_SECRET": SECRET,
        "PORT": "0",  # any free port, which the first line names
    }
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("handler.py")],
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process.stdout.readline().removeprefix("Listening at ").strip()
    process.kill()
    process.wait()


def test_order_is_approved(connect_sim, handler_url):
    product = connect_sim.product()
    webhook = connect_sim.webhook(product, handler_url, secret=SECRET)
    order = connect_sim.purchase(product)
    connect_sim.expect(order).status("approved")
    connect_sim.expect(webhook).delivered(attempts_at_most=1)


def test_forged_request_is_refused(connect_sim, handler_url):
    product = connect_sim.product()
    webhook = connect_sim.webhook(product, handler_url, secret="JWT-of-somebody-else-0123456789")
    order = connect_sim.purchase(product)
    connect_sim.expect(webhook).failed()
    connect_sim.expect(order).never_status("approved", within="1d")
