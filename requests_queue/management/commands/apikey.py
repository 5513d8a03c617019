"""`manage.py apikey VA-610-138`: create an API key of an account and print it once.

`--list` prints all keys without their secrets, `--revoke SU-ddd-ddd-ddd` revokes one.
"""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import Any

from django.core.management import BaseCommand, CommandError
from django.core.management.base import CommandParser
from django.utils import timezone

from requests_queue.catalog import keys
from requests_queue.catalog.models import Account, ApiToken
from requests_queue.catalog.modules import ALL, MODULES
from requests_queue.errors import Refused
from requests_queue.time_format import format_moment


class Command(BaseCommand):
    """Create a key, or take that of SIM_API_KEY, and store its hash; list and revoke keys."""

    help = "Create an API key of an account and print it, list keys, or revoke one."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("account", nargs="?", help="the account's id, VA-ddd-ddd or PA-ddd-ddd")
        parser.add_argument("--name", default="API token", help="the name of the key")
        parser.add_argument("--description", default="", help="what the key is for")
        parser.add_argument(
            "--expires", help="days, 90d, or the last day, 2027-01-31 (UTC); default: never"
        )
        parser.add_argument(
            "--modules",
            action="append",
            choices=MODULES,
            metavar="MODULE",
            help="a module that the key has permission for; may be repeated; default: all",
        )
        parser.add_argument("--json", action="store_true", help="print JSON")
        others = parser.add_mutually_exclusive_group()
        others.add_argument("--list", action="store_true", help="list keys, of all accounts or one")
        others.add_argument("--revoke", metavar="SU-ddd-ddd-ddd", help="revoke a key")

    def handle(self, **options: Any) -> None:
        """Print the key, or the list."""
        account = self._account(options["account"])
        if options["list"]:
            self._list(account, as_json=options["json"])
        elif options["revoke"]:
            self._revoke(options["revoke"], account)
            self._print({"revoked": options["revoke"]}, f"Revoked {options['revoke']}.", options)
        else:
            self._create(account, options)

    def _account(self, pk: str | None) -> Account | None:
        account = Account.objects.filter(pk=pk).first() if pk else None
        if pk and account is None:
            known = ", ".join(Account.objects.values_list("pk", flat=True)) or "none yet"
            raise CommandError(f"Unknown account {pk}. Available: {known}.")
        return account

    def _create(self, account: Account | None, options: dict[str, Any]) -> None:
        if account is None:
            raise CommandError("Name the account of the key, such as VA-610-138.")
        name, description = options["name"], options["description"]
        modules = options["modules"]
        # From the environment: arguments are visible in process lists.
        key = os.environ.get("SIM_API_KEY", "")
        try:
            expires = keys.parse_expiry(options["expires"]) if options["expires"] else None
            if key:
                keys.store(account, key, name, description, expires, modules)
            else:
                key, _ = keys.create(account, name, description, expires, modules or (ALL,))
        except Refused as error:
            raise CommandError(str(error)) from None
        text = f"ApiKey {key.removeprefix('ApiKey ')}"
        self._print({"key": text}, text, options)

    def _print(self, content: dict[str, str], text: str, options: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(content) if options["json"] else text)

    def _list(self, account: Account | None, *, as_json: bool) -> None:
        rows = ApiToken.objects.select_related("user").order_by("user__account", "pk")
        now = timezone.now()
        if account is not None:
            rows = rows.filter(user__account=account)
        if as_json:
            self.stdout.write(json.dumps([_represent(token, now) for token in rows], indent=2))
            return
        for token in rows:
            self.stdout.write(
                f"{token.user.uid}  {token.user.account_id}  {token.state(now)}  "
                f"created {_day(token.created)}  expires {_day(token.expires)}  "
                f"last used {_moment(token.last_used)}  modules {', '.join(token.modules)}  "
                f"{token.name}"
            )

    def _revoke(self, uid: str, account: Account | None) -> None:
        if not keys.revoke(uid, account):
            raise CommandError(f"There is no active key {uid}. List all with `apikey --list`.")


def _represent(token: ApiToken, now: datetime) -> dict[str, Any]:
    """Return a key without its secret; moments in ISO 8601, null for never."""
    moments = {name: getattr(token, name) for name in ("created", "expires", "last_used")}
    return {
        "id": token.user.uid,
        "account": token.user.account_id,
        "name": token.name,
        "state": token.state(now),
        **{name: value and value.isoformat() for name, value in moments.items()},
        "modules": list(token.modules),
    }


def _day(value: datetime | None) -> str:
    return f"{value:%Y-%m-%d}" if value else "never"


def _moment(value: datetime | None) -> str:
    return format_moment(value) if value else "never"
