"""`manage.py apikey VA-610-138`: create an API key of an account and print it once."""

from __future__ import annotations

import os
from typing import Any

from django.core.management import BaseCommand, CommandError
from django.core.management.base import CommandParser

from requests_queue.catalog import keys
from requests_queue.catalog.models import Account
from requests_queue.errors import Refused


class Command(BaseCommand):
    """Create a key, or take that of SIM_API_KEY, and store its hash."""

    help = "Create an API key of an account and print it; only its hash is stored."

    def add_arguments(self, parser: CommandParser) -> None:
        """Options of the command."""
        parser.add_argument("account", help="the account's id, VA-ddd-ddd or PA-ddd-ddd")
        parser.add_argument("--name", default="API token", help="the name of the key")

    def handle(self, **options: Any) -> None:
        """Print the key."""
        account = Account.objects.filter(pk=options["account"]).first()
        if account is None:
            known = ", ".join(Account.objects.values_list("pk", flat=True)) or "none yet"
            raise CommandError(f"Unknown account {options['account']}. Available: {known}.")
        # From the environment: arguments are visible in process lists.
        key = os.environ.get("SIM_API_KEY") or keys.new_key()
        try:
            keys.store(account, key, options["name"])
        except Refused as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"ApiKey {key.removeprefix('ApiKey ')}")
