"""`manage.py listen`: a handler on this machine that shows what it gets."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError
from django.core.management.base import CommandParser
from rich.console import Console

from sandbox import sandbox_file, validator
from sandbox.approving import approve_pending
from sandbox.client import ApiError, Client
from sandbox.listener import PORT, Listener, Received, Script

_LONGEST_DELAY = 86400


class Command(BaseCommand):
    """Listen, verify, print, answer by script."""

    help = "Run a webhook handler here: verifies the token, prints each call, answers by script."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Options of the command."""
        parser.add_argument("--port", type=int, default=PORT, help=f"default {PORT}; 0: any")
        parser.add_argument("--status", type=int, default=200, help="answer with this status")
        parser.add_argument("--delay", type=float, default=0, help="seconds before the answer")
        parser.add_argument("--hang", action="store_true", help="never answer")
        parser.add_argument(
            "--approve", action="store_true", help="approve what is pending before answering"
        )
        parser.add_argument(
            "--validate", action="append", default=[], metavar="PARAM[:VALUE]=ERROR",
            help="play a validator: say this of the parameter (where it has that value), and "
            "clear it elsewhere; again for more of them",
        )  # fmt: skip
        parser.add_argument("--secret", default="", help="the webhook's JWT secret; default: asked")

    def handle(self, **options: Any) -> None:
        """Serve until SIGINT or SIGTERM."""
        if not 100 <= options["status"] <= 599:
            raise CommandError("--status is an HTTP status from 100 to 599.")
        if not 0 <= options["port"] <= 65535:
            raise CommandError("--port is a number from 0 (any) to 65535.")
        # NaN is not between either.
        if not 0 <= options["delay"] <= _LONGEST_DELAY:
            raise CommandError(f"--delay is a number of seconds from 0 to {_LONGEST_DELAY}.")
        try:
            self._rules = [validator.parse(text) for text in options["validate"]]
        except validator.BadRule as error:
            raise CommandError(str(error)) from None
        self._console = Console(highlight=False, soft_wrap=True)
        self._client = self._find_sandbox(needed=options["approve"])
        self._given, self._approve = options["secret"], options["approve"]
        self._status = options["status"]
        script = Script(self._status, options["delay"], options["hang"])
        try:
            listener = Listener(("127.0.0.1", options["port"]), script, self._secret, self._on_call)
        except OSError as error:
            raise CommandError(
                f"Port {options['port']} can't be bound: {error.strerror}."
            ) from None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _interrupt)
        self._console.print(f"Listening at {listener.url}; use it as a webhook's endpoint URL.")
        try:
            listener.run()
        except KeyboardInterrupt:
            listener.stopped.set()

    def _find_sandbox(self, *, needed: bool) -> Client | None:
        try:
            sandbox = sandbox_file.read(settings.SIM_DATA_DIR)
        except sandbox_file.NoSandbox as error:
            if needed:
                raise CommandError(str(error)) from None
            return None
        return Client(sandbox.url, sandbox.vendor_api_key)

    def _secret(self, webhook_id: str) -> str | None:
        if self._given:
            return str(self._given)
        return _ask(self._client, webhook_id) if self._client else None

    def _on_call(self, received: Received) -> dict[str, Any] | None:
        at = datetime.now(UTC).strftime("%H:%M:%S")
        verdict = received.verdict or "verified"
        self._console.print(
            f"\n{at} {received.method} {received.path}  token {verdict}", markup=False
        )
        self._console.print_json(json.dumps(received.claims or {}))
        shown = validator.under_validation(received.body) if self._rules else None
        if shown is not None:
            return None if received.is_refused else self._validate(shown)
        product_id = received.claims.get("product_id")
        if self._approve and self._client and product_id and not received.verdict:
            for request_id in approve_pending(self._client, product_id):
                self._console.print(f"approved {request_id}", markup=False)
        return None

    def _validate(self, shown: dict[str, Any]) -> dict[str, Any]:
        """Return the object with what the rules say of it."""
        done = validator.validate(shown, self._rules)
        # At once, so that calls that overlap don't mix.
        lines = (*done.lines, f"answer {self._status}: {done.said}")
        self._console.print("\n".join(lines), markup=False)
        return done.answer


@lru_cache(maxsize=256)
def _ask(client: Client, webhook_id: str) -> str | None:
    try:
        found = client.call("GET", f"/public/v1/notifications/webhooks/{webhook_id}", timeout=5)
    except ApiError:
        return None
    return str(found["jwt_secret"])


def _interrupt(signum: int, frame: Any) -> None:
    raise KeyboardInterrupt
