"""`manage.py queue add fulfillment` and `queue move PR-… approve`, in the running sandbox."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError
from django.core.management.base import CommandParser

from sandbox import sandbox_file
from sandbox.client import ApiError, Client


class Command(BaseCommand):
    """Add a sample object to a queue, or move one."""

    help = "Add a realistic object to a queue, or move one, in the running sandbox."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Options of the command."""
        what = parser.add_subparsers(dest="what", required=True)
        add = what.add_parser("add", help="add a sample object to a queue")
        add.add_argument("queue", help="fulfillment, tier_config, … or its object class")
        add.add_argument("--type", help="default: the queue's first")
        add.add_argument("--product", help="default: one that fits")
        add.add_argument(
            "--as", dest="side", choices=("vendor", "distributor"), default="vendor",
            help="who asks for it: a provider's billing request is no vendor's; default: vendor",
        )  # fmt: skip
        move = what.add_parser("move", help="make a move with an object")
        move.add_argument("id")
        move.add_argument("action", help="approve, fail, …")
        move.add_argument("--data", default="{}", help='JSON body, for example \'{"reason": "…"}\'')
        move.add_argument("--reason", help="short for --data with a reason")

    def handle(self, **options: Any) -> None:
        """Ask the sandbox, and print what came of it."""
        if options["what"] == "add":
            path = "/sandbox/queue/samples"
            body = {k: options[k] for k in ("queue", "type", "product") if options[k]}
        else:
            path = "/sandbox/queue/moves"
            body = {"id": options["id"], "action": options["action"], "data": _data(options)}
        try:
            sandbox = sandbox_file.read(settings.SIM_DATA_DIR)
            asked = options.get("side") == "distributor"
            key = sandbox.provider_api_key if asked else sandbox.vendor_api_key
            found = Client(sandbox.url, key).call("POST", path, body)
        except (sandbox_file.NoSandbox, ApiError) as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{found['id']} {found['status']}".strip())


def _data(options: dict[str, Any]) -> dict[str, Any]:
    try:
        data = json.loads(options["data"])
    except ValueError as error:
        raise CommandError(f"--data is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise CommandError("--data is a JSON object.")
    return {**data, "reason": options["reason"]} if options["reason"] else data
