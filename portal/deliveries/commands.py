"""A recorded request as a command or a program that sends it again, with a new token."""

from __future__ import annotations

import re
import shlex
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from requests_queue import clock
from requests_queue.errors import Missing, Refused
from webhooks.delivery import resend
from webhooks.delivery.attempt import prepare
from webhooks.delivery.claim import Claim, load_webhooks
from webhooks.delivery.request import SecretRefused
from webhooks.http.client import Request
from webhooks.models import Attempt

_CONTINUED = " \\\n  "


@dataclass(frozen=True, slots=True)
class Command:
    """A way to send a request: its name in forms, its label, and how it is written."""

    name: str
    label: str
    write: Callable[[Request], str]


def of_attempt(attempt: Attempt, command: Command) -> str:
    """Return the command; it contains a valid token and the headers' values.

    Raises Refused if the request was not recorded, the secret cannot sign, or the command cannot
    send it; Missing where the webhook was deleted.
    """
    webhook = load_webhooks({attempt.webhook_id}).get(attempt.webhook_id)
    if webhook is None:
        raise Missing(attempt.webhook_id)
    claim = Claim(attempt.delivery_id, uuid.uuid4(), 1, True, clock.now(), webhook)
    try:
        request = prepare(claim.with_override(resend.sent_request(attempt))).request
    except SecretRefused as refused:
        raise Refused("WH_003", str(refused)) from None
    return command.write(request)


def _curl(request: Request) -> str:
    # Brackets and dots in the URL mean nothing to curl.
    start = f"curl --globoff --path-as-is --include --request {request.method}"
    parts = [f"{start} {shlex.quote(request.url)}"]
    for name, value in request.headers.items():
        # curl sends an empty header only if it ends with a semicolon.
        parts.append(f"--header {shlex.quote(f'{name}: {value}' if value else f'{name};')}")
    if request.body is not None:
        parts.append(f"--data-raw {shlex.quote(request.body.decode())}")
    return _CONTINUED.join(parts)


def _httpie(request: Request) -> str:
    parts = [f"http --ignore-stdin --path-as-is {request.method} {shlex.quote(request.url)}"]
    for name, value in request.headers.items():
        if re.search(r"\\[:;=@]", value):
            raise Refused(
                "WH_004",
                f"HTTPie cannot send the value of the header {name}: it reads a backslash in it as "
                "an escape. Copy the request as curl instead.",
            )
        # `:=` and `:@` have other meanings.
        escaped = f"\\{value}" if value[:1] in ("=", "@") else value
        parts.append(shlex.quote(f"{name}:{escaped}" if value else f"{name};"))
    if request.body is not None:
        parts.append(f"--raw {shlex.quote(request.body.decode())}")
    return _CONTINUED.join(parts)


def _python(request: Request) -> str:
    headers = [f"        {name!r}: {value!r}," for name, value in request.headers.items()]
    lines = [
        "import requests",
        "",
        "response = requests.request(",
        f"    {request.method!r},",
        f"    {request.url!r},",
        "    headers={",
        *headers,
        "    },",
        *([] if request.body is None else [f"    data={request.body.decode()!r}.encode(),"]),
        "    allow_redirects=False,",
        ")",
        "print(response.status_code, response.reason)",
        "print(response.text)",
    ]
    return "\n".join(lines)


COMMANDS = {
    each.name: each
    for each in (
        Command("curl", "curl", _curl),
        Command("httpie", "HTTPie", _httpie),
        Command("python", "Python", _python),
    )
}
