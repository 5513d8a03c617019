"""`manage.py signin`: a link to sign in with, once."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError
from django.core.management.base import CommandParser

from portal import signin
from requests_queue.catalog.models import User


class Command(BaseCommand):
    """Print a sign-in link of a user."""

    help = "Print a link that signs a user in, once."

    def add_arguments(self, parser: CommandParser) -> None:
        """Options of the command."""
        parser.add_argument("username", nargs="?", help="default: the first administrator")

    def handle(self, **options: Any) -> None:
        """Print the link."""
        users = User.objects.filter(is_active=True, is_service=False).order_by("pk")
        name = options["username"]
        user = users.filter(**({"username": name} if name else {"is_superuser": True})).first()
        if user is None:
            raise CommandError(f"There is no user {name or 'who is an administrator'}.")
        self.stdout.write(f"{settings.SIM_API_URL}{signin.link(user)}")
