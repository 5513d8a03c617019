"""What is wrong with a sandbox, and what to do: `connect-sim doctor`. Nothing is changed."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from checks.client import ApiError, Client, NoAnswer, NotASandbox, Unreachable
from checks.sandbox_file import Sandbox
from connect_sim import checks, health
from portal.home import system_status
from portal.home.system_status import BAD, GOOD, UNKNOWN, Component
from requests_queue.db import database_errors
from requests_queue.time_format import format_moment, format_span
from sandbox.clock import moves
from webhooks.http.addresses import AddressPolicy, AddressRefused, parse_networks
from webhooks.models import Webhook

# A state that is worth a line, though nothing is wrong.
NOTE = "note"
_TIMEOUT = 5.0  # seconds for a response of the sandbox
_CONNECTIONS = 16  # to handlers at the same time
_CONNECTING = 1.0  # seconds for each
_NAMED = 3  # webhooks of an address
_UNAUTHORIZED = 401
_INSIDE = ("Worker", "Scheduler", "Clock", "Handlers")


def examine(sandbox: Sandbox) -> list[Component]:
    """Return database, broker, worker, scheduler, clock, port, keys, and handlers by address.

    The text of each that is BAD says what to do.
    """
    broker, database, port = system_status.broker(), _database(), _port(sandbox)
    inside = [Component(name, UNKNOWN, "Unknown without the database.") for name in _INSIDE]
    if database.state == GOOD:
        try:
            inside = [*system_status.processes(broker), _clock(), *_handlers(sandbox)]
        except (DatabaseError, InterfaceError) as error:
            database = _unavailable(error)
    worker, scheduler, clock, *handlers = inside
    keys = _keys(sandbox) if port.state == GOOD else Component("Keys", UNKNOWN, "Not tried.")
    return [database, broker, worker, scheduler, clock, port, keys, *handlers]


def _database() -> Component:
    file = settings.DATABASES["default"]["NAME"]
    # A connection would create it.
    if connection.vendor == "sqlite" and not Path(file).exists():
        return Component("Database", BAD, f"{file} does not exist. Restart the sandbox.")
    try:
        if problem := checks.migration_problem():
            return Component("Database", BAD, problem)
        if not checks.is_migrated("default"):
            text = f"It is of a version before {settings.VERSION}. Restart the sandbox."
            return Component("Database", BAD, text)
    except (DatabaseError, InterfaceError) as error:
        return _unavailable(error)
    return system_status.database()


def _unavailable(error: Exception) -> Component:
    sentence = database_errors.unavailable(error).partition(". ")[0]
    cure = "Start PostgreSQL, or correct DATABASE_URL."
    if connection.vendor == "sqlite":
        cure = f"Look at {settings.DATABASES['default']['NAME']} and its disk. If it is damaged, "
        cure += f"stop the sandbox, and delete the data by `{settings.PROGRAM} manage fresh`."
    reason = f"{sentence} ({database_errors.summary(error)})"
    return Component("Database", BAD, f"{reason}. {cure}")


def _clock() -> Component:
    state = moves.read()
    now = format_moment(state.now)
    if state.moving:
        return Component("Clock", GOOD, f"{now}, being moved.")
    if state.frozen:
        text = f"It is frozen at {now}: what moved it was killed. Restart the sandbox."
        return Component("Clock", BAD, text)
    if state.offset < timedelta():
        behind = format_span(-state.offset.total_seconds())
        text = f"It is {behind} behind real time: this machine's clock was ahead. Correct that, "
        return Component("Clock", BAD, f"{text}and run `{settings.PROGRAM} reset`.")
    if ahead := moves.ahead(state.now):
        text = f"{ahead} `{settings.PROGRAM} reset` puts it back, and the data."
        return Component("Clock", NOTE, text)
    return Component("Clock", GOOD, now)


def _port(sandbox: Sandbox) -> Component:
    try:
        answer = Client(sandbox.address, "").call("GET", health.READY, timeout=_TIMEOUT)
    except NotASandbox:
        answer = None
    except NoAnswer as error:
        text = f"{error} Run this again in a minute; if that changes nothing, end the program that "
        return Component("Port", BAD, f"{text}listens there, and start the sandbox again.")
    except Unreachable as error:
        return Component("Port", BAD, f"{error} Start it: `{settings.PROGRAM}`.")
    except ApiError as error:
        # 503: something is missing, which is named elsewhere.
        answer = error.content
    if not isinstance(answer, dict) or "ready" not in answer:
        text = f"Another program answers at {sandbox.address}. End it, or restart the sandbox with "
        return Component("Port", BAD, f"{text}another --port.")
    return Component("Port", GOOD, sandbox.address)


def _keys(sandbox: Sandbox) -> Component:
    keys = {"vendor": sandbox.vendor_api_key, "distributor": sandbox.provider_api_key}
    for party, key in keys.items():
        try:
            Client(sandbox.address, key).call("GET", "/sandbox/version", timeout=_TIMEOUT)
        except ApiError as error:
            if error.status != _UNAUTHORIZED:
                return Component("Keys", UNKNOWN, str(error))
            text = f"The {party}'s key in sandbox.json is not valid. Restart the sandbox: it "
            return Component("Keys", BAD, f"{text}creates a new one.")
    return Component("Keys", GOOD, "Valid.")


def _handlers(sandbox: Sandbox) -> list[Component]:
    """Return the addresses of active webhooks that refuse connections, or one component."""
    if settings.SIM_HTTP_PROXY or (sandbox.machine and sandbox.machine != socket.gethostname()):
        return [Component("Handlers", UNKNOWN, "The sandbox reaches them by another way.")]
    webhooks: dict[str, list[str]] = {}
    rows = Webhook.objects.filter(active=True).order_by("pk")
    for pk, url in rows.values_list("pk", "external_url"):
        parts = urlsplit(url)
        # Without a user name, a password and a query.
        webhooks.setdefault(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", []).append(pk)
    policy = AddressPolicy(parse_networks(settings.SIM_ALLOW_NETWORKS))
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        problems = list(pool.map(lambda address: _problem(policy, address), webhooks))
    if not any(problems):
        return [Component("Handlers", GOOD, f"{len(webhooks)} accept connections.")]
    return [
        Component("Handlers", BAD, _refused(address, webhooks[address], problem))
        for address, problem in zip(webhooks, problems, strict=True)
        if problem
    ]


def _problem(policy: AddressPolicy, address: str) -> str:
    """Return why a handler cannot be called, in sentences; empty if it accepts connections."""
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    problem = "It accepts no connections. Start it, or correct the URL."
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for *_, place in places:
            # As for a request: before there is a connection to any of them.
            policy.check(host, str(place[0]))
    except AddressRefused as error:
        return str(error)
    except (OSError, UnicodeError):
        return f"The name {host} cannot be resolved. Correct the URL."
    for *_, place in places:
        with suppress(OSError):
            socket.create_connection((str(place[0]), port), _CONNECTING).close()
            return ""
    return problem


def _refused(address: str, webhooks: list[str], problem: str) -> str:
    named = ", ".join(webhooks[:_NAMED]) + (", …" if len(webhooks) > _NAMED else "")
    text = f"{address} of {named}: {problem} Otherwise disable the webhook: "
    return f"{text}`{settings.PROGRAM} webhook disable {webhooks[0]}`."
