"""`manage.py listen`: run a webhook handler that prints its requests."""

from __future__ import annotations

import json
import signal
import threading
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError
from django.core.management.base import CommandParser
from rich.console import Console

from requests_queue import sample_values
from sandbox import sandbox_file, validator
from sandbox.client import ApiError, Client
from sandbox.listener import PORT, Listener, Received, Script

_MAX_DELAY = 86400
# Each approval is a queue change too, so requests overlap, and two of them could list and approve
# the same order.
_approving = threading.Lock()


class Command(BaseCommand):
    """Listen, verify tokens, print requests, and respond by script."""

    help = "Run a webhook handler: verifies tokens, prints requests, responds by script."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the command's options."""
        parser.add_argument("--port", type=int, default=PORT, help=f"default {PORT}; 0: any")
        parser.add_argument("--status", type=int, default=200, help="HTTP status of the response")
        parser.add_argument("--delay", type=float, default=0, help="seconds before the response")
        parser.add_argument("--hang", action="store_true", help="never respond")
        parser.add_argument(
            "--approve", action="store_true", help="approve pending requests before responding"
        )
        parser.add_argument(
            "--validate", action="append", default=[], metavar="PARAM[:VALUE]=ERROR",
            help="act as a validator: set this error of the parameter (if it has this value), and "
            "clear it otherwise; may be repeated",
        )  # fmt: skip
        parser.add_argument(
            "--secret", default="", help="the webhook's JWT secret; default: read from the sandbox"
        )

    def handle(self, **options: Any) -> None:
        """Serve until SIGINT or SIGTERM."""
        _check_options(options)
        try:
            self._rules = [validator.parse(text) for text in options["validate"]]
        except validator.BadRule as error:
            raise CommandError(str(error)) from None
        self._console = Console(highlight=False, soft_wrap=True)
        self._client = _sandbox_client(required=options["approve"])
        self._fixed_secret, self._approve = options["secret"], options["approve"]
        self._status = options["status"]
        script = Script(self._status, options["delay"], options["hang"])
        address = ("127.0.0.1", options["port"])
        try:
            listener = Listener(address, script, self._secret, self._on_request)
        except OSError as error:
            raise CommandError(f"Cannot bind port {options['port']}: {error.strerror}.") from None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _interrupt)
        self._console.print(f"Listening at {listener.url}. Use it as a webhook's endpoint URL.")
        try:
            listener.run()
        except KeyboardInterrupt:
            listener.stopped.set()

    def _secret(self, webhook_id: str) -> str | None:
        if self._fixed_secret:
            return str(self._fixed_secret)
        return _fetch_secret(self._client, webhook_id) if self._client else None

    def _on_request(self, received: Received) -> dict[str, Any] | None:
        at, token = datetime.now(UTC).strftime("%H:%M:%S"), received.token
        self._console.print(
            f"\n{at} {received.method} {received.path}  token {token.verdict}", markup=False
        )
        self._console.print_json(json.dumps(token.claims or {}))
        obj = validator.parse_object(received.body) if self._rules else None
        if obj is not None:
            return None if token.is_refused else self._validate(obj)
        product_id = token.claims.get("product_id")
        if self._approve and self._client and product_id and token.is_verified:
            with _approving:
                approved = _approve_pending(self._client, product_id)
            for request_id in approved:
                self._console.print(f"approved {request_id}", markup=False)
        return None

    def _validate(self, obj: dict[str, Any]) -> dict[str, Any]:
        """Return the object with the errors that the rules set."""
        result = validator.validate(obj, self._rules)
        # In one call, so that the output of overlapping requests is not mixed.
        lines = (*result.lines, f"response {self._status}: {result.summary}")
        self._console.print("\n".join(lines), markup=False)
        return result.response


def _check_options(options: dict[str, Any]) -> None:
    if not 100 <= options["status"] <= 599:
        raise CommandError("--status must be an HTTP status from 100 to 599.")
    if not 0 <= options["port"] <= 65535:
        raise CommandError("--port must be a number from 0 (any) to 65535.")
    # This refuses NaN too.
    if not 0 <= options["delay"] <= _MAX_DELAY:
        raise CommandError(f"--delay must be a number of seconds from 0 to {_MAX_DELAY}.")


def _sandbox_client(*, required: bool) -> Client | None:
    try:
        sandbox = sandbox_file.read(settings.SIM_DATA_DIR)
    except sandbox_file.NoSandbox:
        if required:
            raise
        return None
    return Client(sandbox.url, sandbox.vendor_api_key)


@lru_cache(maxsize=256)
def _fetch_secret(client: Client, webhook_id: str) -> str | None:
    try:
        webhook = client.call("GET", f"/public/v1/notifications/webhooks/{webhook_id}", timeout=5)
    except ApiError:
        return None
    return str(webhook["jwt_secret"])


def _approve_pending(client: Client, product_id: str) -> list[str]:
    """Approve all pending requests of a product and return their ids; raises ApiError."""
    query = f"eq(status,pending)&eq(asset.product.id,{product_id})&ordering(created)"
    # The whole list first: approving while paging would skip some.
    pending = list(client.pages("/public/v1/requests", query))
    for request in pending:
        path = f"/public/v1/requests/{request['id']}"
        if params := _missing_params(request):
            client.call("PUT", path, {"asset": {"params": params}})
        client.call("POST", f"{path}/approve", _approval(client, product_id))
    return [request["id"] for request in pending]


def _missing_params(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Return values for the required fulfillment parameters that are empty."""
    return [
        sample_values.fill(param, f"activated-{request['id']}")
        for param in request["asset"]["params"]
        if param["phase"] == "fulfillment"
        and param["constraints"].get("required")
        and not param["value"]
        and not param.get("structured_value")
    ]


def _approval(client: Client, product_id: str) -> dict[str, str]:
    path = f"/public/v1/products/{product_id}/templates?scope=asset&type=fulfillment&limit=1"
    templates = client.call("GET", path)
    return {"template_id": templates[0]["id"]} if templates else {"activation_tile": "Activated."}


def _interrupt(signum: int, frame: Any) -> None:
    raise KeyboardInterrupt
