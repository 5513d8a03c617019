"""`manage.py queue add fulfillment`, `queue move PR-… approve`, `queue validate PR-…`."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError
from django.core.management.base import CommandParser

from sandbox import parameters, sandbox_file
from sandbox.client import ApiError, Client


class Command(BaseCommand):
    """Add a sample object to a queue, move one, or have one validated."""

    help = "Add a realistic object to a queue, move or validate one, in the running sandbox."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Options of the command."""
        what = parser.add_subparsers(dest="what", required=True)
        add = what.add_parser("add", help="add a sample object to a queue")
        add.add_argument("queue", help="fulfillment, tier_config, … or its object class")
        add.add_argument("--type", help="default: the queue's first")
        add.add_argument("--product", help="default: one that fits")
        add.add_argument(
            "--draft", action="store_true", help="a draft, which can be validated before it is sent"
        )
        add.add_argument(
            "--as", dest="side", choices=("vendor", "distributor"), default="vendor",
            help="who asks for it: a provider's billing request is no vendor's; default: vendor",
        )  # fmt: skip
        move = what.add_parser("move", help="make a move with an object")
        move.add_argument("id")
        move.add_argument("action", help="approve, fail, …")
        move.add_argument("--data", default="{}", help='JSON body, for example \'{"reason": "…"}\'')
        move.add_argument("--reason", help="short for --data with a reason")
        validate = what.add_parser("validate", help="have a draft or an inquiry validated")
        validate.add_argument("id", help="PR-… or TCR-…")
        validate.add_argument("--data", default="{}", help="JSON body: what to change of it first")

    def handle(self, **options: Any) -> None:
        """Ask the sandbox, and print what came of it."""
        path, body = _call(options)
        try:
            sandbox = sandbox_file.read(settings.SIM_DATA_DIR)
            asked = options.get("side") == "distributor"
            key = sandbox.provider_api_key if asked else sandbox.vendor_api_key
            # A validation takes as long as its handler.
            timeout = settings.SIM_VALIDATION_TIMEOUT + 30
            found = Client(sandbox.url, key).call("POST", path, body, timeout)
        except (sandbox_file.NoSandbox, ApiError) as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{found['id']} {found['status']}".strip())
        if options["what"] == "validate":
            for line in _validated(found):
                self.stdout.write(f"  {line}")


def _call(options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the path and the body of what is asked of the sandbox."""
    if options["what"] == "add":
        body = {k: options[k] for k in ("queue", "type", "product", "draft") if options[k]}
        return "/sandbox/queue/samples", body
    body = {"id": options["id"], "data": _data(options)}
    if options["what"] == "validate":
        return "/sandbox/queue/validate", body
    return "/sandbox/queue/moves", body | {"action": options["action"]}


def _validated(found: dict[str, Any]) -> list[str]:
    """Return what a validation made of each parameter; where there is nothing, why."""
    lines = parameters.compared(found["before"], found["after"])
    if not found["called"]:
        return [
            f"no validator was called: {found['product']} has no enabled webhook for a validation "
            f"of this type and status, or the capability is off",
            *lines,
        ]
    return lines or ["nothing is wrong, nothing was changed"]


def _data(options: dict[str, Any]) -> dict[str, Any]:
    try:
        data = json.loads(options["data"])
    except ValueError as error:
        raise CommandError(f"--data is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise CommandError("--data is a JSON object.")
    return {**data, "reason": options["reason"]} if options.get("reason") else data
