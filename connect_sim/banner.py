"""The text that a sandbox prints when it has started: URLs, keys and a first order."""

from __future__ import annotations

import sys

from django.conf import settings

from portal import sign_in
from requests_queue import first_order
from requests_queue.catalog.models import User
from sandbox.sandbox_file import Sandbox


def show(sandbox: Sandbox) -> None:
    """Print the banner without wrapping or markup, because the keys are copied from it."""
    lines = [
        "",
        f"Connect Sim is running at {sandbox.url}",
        "",
        f"  Portal     {sandbox.url}/",
        f"  API        {sandbox.url}/public/v1",
        f"  Admin      {sandbox.url}/admin/",
        f"  Data       {settings.SIM_DATA_DIR}",
        *(f"  Sign in    {sandbox.url}{path}   (can be used once)" for path in _links()),
        "",
        f"  Vendor       ApiKey {sandbox.vendor_api_key}",
        f"  Distributor  ApiKey {sandbox.provider_api_key}",
        "",
        "Order the plain product as the distributor:",
        "",
        _purchase(sandbox),
        "",
        "Press Ctrl-C to stop.",
        "",
    ]
    print("\n".join(lines), flush=True, file=sys.stdout)


def _links() -> list[str]:
    admin = User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
    return [sign_in.link(admin)] if admin else []


def _purchase(sandbox: Sandbox) -> str:
    body = first_order.body()
    if body is None:
        return "  (no demo data: run `connect-sim seed`)"
    return first_order.curl(sandbox.url, sandbox.provider_api_key, body)
