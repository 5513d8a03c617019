"""`manage.py firstadmin`: create the first administrator and print a one-time sign-in link."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management import BaseCommand, CommandError
from django.core.management.base import CommandParser

from connect_sim.management.commands.signin import server_url
from portal import sign_in


class Command(BaseCommand):
    """Create an administrator without a password, unless there is an administrator."""

    help = "Create the first administrator and print a sign-in link that works once."

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the command's options."""
        parser.add_argument("username", nargs="?", default="admin", help="default: admin")
        parser.add_argument("--email", default="", help="the administrator's e-mail address")

    def handle(self, **options: Any) -> None:
        """Print the link."""
        url = server_url()
        try:
            user = sign_in.create_first_administrator(options["username"], options["email"])
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        if user is None:
            raise CommandError(
                "There is an administrator already. `manage.py signin` prints a link for the first "
                "one, and `manage.py createsuperuser` creates another."
            )
        self.stdout.write(f"{url}{sign_in.link(user)}")
