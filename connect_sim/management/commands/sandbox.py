"""`manage.py sandbox`: everything in one process, set up on first use."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError, call_command
from django.core.management.base import CommandParser
from django.db import connection

from connect_sim import banner, data_folder, runtime, stopping, web
from requests_queue import seed
from requests_queue.catalog import keys
from requests_queue.catalog.models import Account
from requests_queue.errors import Refused
from sandbox import clock_control, sandbox_file
from sandbox.sandbox_file import Sandbox
from webhooks.delivery import claims


class Command(BaseCommand):
    """Migrate, seed if empty, and run web server, worker and scheduler until a signal."""

    help = "Run the whole sandbox in one process (SQLite and no broker by default)."

    def add_arguments(self, parser: CommandParser) -> None:
        """Options of the command."""
        parser.add_argument("--no-seed", action="store_true", help="start without demo data")

    def handle(self, **options: Any) -> None:
        """Run until SIGINT or SIGTERM; a second signal ends the process at once."""
        if not settings.SANDBOX:
            raise CommandError(
                "`sandbox` is for SIM_PROFILE=sandbox; a server runs web, worker and beat "
                "(docker-compose.yml)."
            )
        # Whatever this process writes into the data folder is its owner's only.
        os.umask(0o077)
        call_command("migrate", verbosity=0, interactive=False)
        if not options["no_seed"] and seed.is_empty():
            seed.run(lambda line: self.stdout.write(line))
        sandbox = self._keys()
        clock_control.recover()
        from connect_sim.wsgi import application

        try:
            running = runtime.Runtime(application)
        except web.PortTaken as error:
            raise CommandError(str(error)) from None
        wait_for_signal = stopping.on_signals()
        with data_folder.failures_named(settings.SIM_DATA_DIR / sandbox_file.NAME):
            sandbox_file.write(settings.SIM_DATA_DIR, sandbox)
        if connection.vendor == "sqlite":
            # Nobody else works on this file: what was under way at a kill needn't wait for its
            # lease to run out.
            claims.give_back()
        try:
            running.start()
        except web.NotStarted:
            raise CommandError("The web server can't start; the log above says why.") from None
        banner.show(sandbox)
        wait_for_signal()
        self.stdout.write("Stopping; calls under way get a few seconds. Again: stop at once.")
        running.stop()

    def _keys(self) -> Sandbox:
        """Return the keys of both accounts, the given ones or the same as ever, made valid."""
        try:
            known = sandbox_file.read(settings.SIM_DATA_DIR)
        except sandbox_file.NoSandbox:
            known = None
        vendor = settings.SIM_VENDOR_API_KEY or (known and known.vendor_api_key) or keys.new_key()
        provider = (
            settings.SIM_PROVIDER_API_KEY or (known and known.provider_api_key) or keys.new_key()
        )
        found = Sandbox(
            settings.SIM_API_URL,
            vendor.removeprefix("ApiKey ").strip(),
            provider.removeprefix("ApiKey ").strip(),
        )
        for kind, key in (("vendor", found.vendor_api_key), ("provider", found.provider_api_key)):
            account = Account.objects.filter(type=kind).order_by("created", "pk").first()
            if account is None:
                continue
            try:
                keys.store(account, key, f"Sandbox {kind} token")
            except Refused as error:
                raise CommandError(f"SIM_{kind.upper()}_API_KEY: {error}") from None
        return found
