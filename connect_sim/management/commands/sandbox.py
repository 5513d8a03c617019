"""`manage.py sandbox`: run everything in one process, set up on first use."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, call_command
from django.core.management.base import CommandParser
from django.db import connection

from checks import sandbox_file
from checks.sandbox_file import Sandbox
from connect_sim import (
    checks,
    container,
    data_folder,
    data_lock,
    logs,
    port_file,
    runtime,
    sandbox_keys,
    web,
)
from connect_sim.installation import StartError
from portal import sign_in
from requests_queue import clock, heap, seed
from requests_queue.catalog.models import User
from requests_queue.errors import Refused
from requests_queue.event_loops import StartFailed
from requests_queue.queues.fulfillment import first_order
from sandbox import LISTEN_PORT
from webhooks.delivery import claim


class Command(BaseCommand):
    """Migrate, seed if empty, and run web server, worker and scheduler until a signal."""

    help = "Run the whole sandbox in one process (SQLite and no broker by default)."
    # It runs those that a start needs.
    requires_system_checks = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Return the parser; `--port` would be short for `--port-file`."""
        return super().create_parser(prog_name, subcommand, allow_abbrev=False, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the command's options."""
        parser.add_argument("--no-seed", action="store_true", help="start without demo data")
        parser.add_argument("--port-file", type=Path, help="write the port to this file")
        parser.add_argument(
            "--exit-with-parent", action="store_true", help="stop when standard input ends"
        )

    def handle(self, **options: Any) -> None:
        """Run until SIGINT or SIGTERM; a second signal ends the process at once."""
        port_path: Path | None = options["port_file"]
        with_parent = options["exit_with_parent"]
        _check(with_parent=with_parent)
        heap.share()
        data_lock.hold(exclusive=True)
        if port_path:
            port_file.remove(port_path)
        # These have models, which a server doesn't install.
        from connect_sim.terminal import Terminal
        from connect_sim.wsgi import application
        from sandbox import check_runs
        from sandbox.clock import moves

        # A port that is taken prevents the start before a database is made.
        running = runtime.Runtime(application)
        self._prepare_data(with_seed=not options["no_seed"])
        data_lock.watch()
        keys, machine = sandbox_keys.prepare(), socket.gethostname()
        sandbox = Sandbox(settings.SIM_PUBLIC_URL, *keys, settings.LOCAL_URL, machine)
        wait_for_stop = web.on_signals(or_end_of_input=with_parent)
        with data_folder.failures_named(settings.SIM_DATA_DIR / sandbox_file.NAME):
            sandbox_file.write(settings.SIM_DATA_DIR, sandbox)
        _recover()
        # Before the first attempt.
        terminal = None if settings.SIM_QUIET or _is_json() else Terminal()
        try:
            running.start()
        except StartFailed as error:
            raise StartError(error) from None
        self._say(_banner(sandbox, moves.ahead(clock.now())))
        # Last: who has waited for it may kill this process at once, and keep what it has printed.
        if port_path:
            port_file.write(port_path, int(settings.SIM_BIND.split()[0].rpartition(":")[2]))
        if terminal:
            terminal.start()
        wait_for_stop()
        self._say("Stopping, after requests in flight. Press Ctrl-C again to stop now.")
        check_runs.stop_all()
        running.stop()
        if terminal:
            terminal.stop()
        if port_path:
            port_path.unlink(missing_ok=True)

    def _say(self, text: str) -> None:
        """Print a text for people, unless everything that is printed is JSON."""
        if not _is_json():
            self.stdout.write(text)
            self.stdout.flush()

    def _prepare_data(self, *, with_seed: bool) -> None:
        """Migrate the database, and fill an empty one with the demo data."""
        from sandbox.world import snapshots

        # Files in the data folder are readable by their owner only.
        os.umask(0o077)
        call_command("migrate", verbosity=0, interactive=False)
        if seed.is_empty():
            if with_seed:
                self._say(str(seed.run(lambda line: None)))
            try:
                snapshots.save_seed()
            except Refused as error:
                raise StartError(error) from None


def _check(*, with_parent: bool) -> None:
    """Refuse a start that cannot work."""
    checks.require_valid_settings()
    if not settings.SANDBOX:
        raise StartError(
            "`sandbox` is for SIM_PROFILE=sandbox; a server runs web, worker and beat "
            "(docker-compose.yml)."
        )
    if with_parent and not _has_pipe():
        raise StartError("--exit-with-parent needs a pipe as standard input.")


def _recover() -> None:
    """Undo what a killed process has left: drafts, a frozen clock, claims and runs of checks."""
    from sandbox import check_runs
    from sandbox.clock import moves
    from sandbox.world import snapshot_storage

    with suppress(OSError):
        snapshot_storage.delete_drafts()
    # The lock keeps other processes away from this file, so nothing needs to wait for a lease to
    # expire.
    is_alone = connection.vendor == "sqlite"
    moves.recover(is_alone=is_alone)
    if is_alone:
        claim.expire_leases()
    check_runs.recover(is_alone=is_alone, patience=0)


def _is_json() -> bool:
    return bool(settings.SIM_LOG_FORMAT == logs.JSON)


def _has_pipe() -> bool:
    """Return whether standard input is a pipe or a socket, whose other end a parent holds."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _banner(sandbox: Sandbox, ahead: str) -> str:
    """Return the text of a start: six lines, and more where there is more to know."""
    link = _link()
    portal = f"{sandbox.url}{link}   (works once)" if link else f"{sandbox.url}/"
    lines = [
        "",
        f"Connect Sim is running at {sandbox.url}",
        f"  {'Sign in' if link else 'Portal':11}  {portal}",
        f"  API          {sandbox.url}/public/v1",
        f"  Vendor       ApiKey {sandbox.vendor_api_key}",
        f"  Distributor  ApiKey {sandbox.provider_api_key}",
        *([f"  {ahead}"] if ahead else []),
        *([] if first_order.connection() else [_without_data()]),
        *(container.hints(settings.SIM_API_URL, LISTEN_PORT) if settings.SIM_IN_CONTAINER else []),
        "Press Ctrl-C to stop.",
        "",
    ]
    return "".join(f"{line}\n" for line in lines)


def _without_data() -> str:
    return f"  There is no demo data: run `{settings.PROGRAM} manage seed`."


def _link() -> str:
    admin = User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
    return sign_in.link(admin) if admin else ""
