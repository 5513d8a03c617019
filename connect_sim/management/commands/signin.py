"""`manage.py signin`: print a one-time sign-in link of the running sandbox."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError
from django.core.management.base import CommandParser

from checks import client, sandbox_file
from portal import sign_in
from requests_queue import heartbeats
from requests_queue.catalog.models import User


class Command(BaseCommand):
    """Print a sign-in link of a user."""

    help = "Print a one-time sign-in link of a user."

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the command's options."""
        parser.add_argument("username", nargs="?", help="default: the first administrator")

    def handle(self, **options: Any) -> None:
        """Print the link."""
        users = User.objects.filter(is_active=True, is_service=False).order_by("pk")
        name = options["username"]
        user = users.filter(**({"username": name} if name else {"is_superuser": True})).first()
        if user is None:
            raise CommandError(
                f"There is no user {name}."
                if name
                else "There is no administrator. Create one with `manage.py firstadmin`."
            )
        self.stdout.write(f"{server_url()}{sign_in.link(user)}")


def server_url() -> str:
    """Return the URL of the running sandbox from its file, or a server's from our settings."""
    if not settings.SANDBOX:
        return settings.SIM_PUBLIC_URL
    has_processes = any(heard.alive for heard in heartbeats.by_kind().values())
    try:
        sandbox = sandbox_file.read(settings.SIM_DATA_DIR)
    except sandbox_file.NoSandbox as error:
        if has_processes:
            # Its parts run as separate processes, which do not write the file.
            return settings.SIM_PUBLIC_URL
        raise CommandError(str(error)) from None
    if not has_processes and not client.accepts_connections(sandbox.address):
        raise CommandError(
            f"No sandbox is running at {sandbox.address}. Start it with `{settings.PROGRAM}`, "
            "which prints a link to sign in with."
        )
    return sandbox.url
