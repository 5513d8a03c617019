"""`manage.py queue add fulfillment`, `queue move PR-… approve`, `queue validate PR-…`."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError
from django.core.management.base import CommandParser

from sandbox import sandbox_file, validator
from sandbox.client import Client


class Command(BaseCommand):
    """Add a sample object to a queue, run an action, or validate an object."""

    help = (
        "Add a realistic object to a queue, run an action or validate one, in the running sandbox."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the command's options."""
        subcommands = parser.add_subparsers(dest="what", required=True)
        add = subcommands.add_parser("add", help="add a sample object to a queue")
        add.add_argument("queue", help="fulfillment, tier_config, … or its object class")
        add.add_argument("--type", help="default: the queue's first type")
        add.add_argument("--product", help="default: a suitable product")
        add.add_argument(
            "--draft", action="store_true", help="create a draft, which can be validated"
        )
        add.add_argument(
            "--as", dest="party", choices=("vendor", "distributor"), default="vendor",
            help="the party that creates it; default: vendor",
        )  # fmt: skip
        move = subcommands.add_parser("move", help="run an action of an object")
        move.add_argument("id")
        move.add_argument("action", help="approve, fail, …")
        move.add_argument("--data", default="{}", help='JSON body, for example \'{"reason": "…"}\'')
        move.add_argument("--reason", help="adds a reason to --data")
        validate = subcommands.add_parser("validate", help="validate a draft or an inquiry")
        validate.add_argument("id", help="PR-… or TCR-…")
        validate.add_argument("--data", default="{}", help="JSON body: changes to validate")

    def handle(self, **options: Any) -> None:
        """Call the sandbox and print the result."""
        path, body = _request(options)
        sandbox = sandbox_file.read(settings.SIM_DATA_DIR)
        as_distributor = options.get("party") == "distributor"
        key = sandbox.provider_api_key if as_distributor else sandbox.vendor_api_key
        # A validation takes as long as its handler.
        timeout = settings.SIM_VALIDATION_TIMEOUT + 30
        result = Client(sandbox.url, key).call("POST", path, body, timeout)
        self.stdout.write(f"{result['id']} {result['status']}".strip())
        if options["what"] == "validate":
            for line in _validation_lines(result):
                self.stdout.write(f"  {line}")


def _request(options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return path and body of the request to the sandbox."""
    if options["what"] == "add":
        body = {k: options[k] for k in ("queue", "type", "product", "draft") if options[k]}
        return "/sandbox/queue/samples", body
    body = {"id": options["id"], "data": _data(options)}
    if options["what"] == "validate":
        return "/sandbox/queue/validate", body
    return "/sandbox/queue/moves", body | {"action": options["action"]}


def _validation_lines(result: dict[str, Any]) -> list[str]:
    """Return a line for each change by the validation, or the reason why there is none."""
    lines = validator.describe_changes(result["before"], result["after"])
    if not result["called"]:
        return [
            f"no validator was called: {result['product']} has no enabled webhook for a validation "
            f"of this type and status, or the capability is off",
            *lines,
        ]
    return lines or ["no errors, no changes"]


def _data(options: dict[str, Any]) -> dict[str, Any]:
    try:
        data = json.loads(options["data"])
    except ValueError as error:
        raise CommandError(f"--data is not valid JSON: {error}") from None
    if not isinstance(data, dict):
        raise CommandError("--data must be a JSON object.")
    return {**data, "reason": options["reason"]} if options.get("reason") else data
