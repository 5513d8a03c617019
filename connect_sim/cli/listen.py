"""`listen`: a webhook handler on this machine that prints its requests and responds by script."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import click

from checks.client import ApiError, Client
from connect_sim.cli import options, running, validator
from requests_queue.catalog import sample_values
from requests_queue.safe_text import visible
from sandbox import LISTEN_PORT

if TYPE_CHECKING:
    from connect_sim.cli.forwarding import Forwarder
    from connect_sim.cli.listener import Received, Reply

_MAX_DELAY = 86400
_LONGEST = 500  # characters of a response that are printed
# Each approval is a queue change too, so requests overlap, and two of them could list and approve
# the same order.
_approving = threading.Lock()


def _parse_rules(
    ctx: click.Context, param: click.Parameter, value: Sequence[str]
) -> list[validator.Rule]:
    try:
        return [validator.parse(text) for text in value]
    except validator.BadRule as error:
        raise click.BadParameter(str(error)) from None


@click.command(cls=options.Command, example="connect-sim listen --approve")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=LISTEN_PORT,
    show_default=True,
    help="0: any free port.",
)
@click.option(
    "--status",
    type=click.IntRange(100, 599),
    default=200,
    show_default=True,
    help="HTTP status of the response.",
)
@click.option(
    "--delay",
    type=options.Seconds(_MAX_DELAY),
    default=0,
    metavar="SECONDS",
    help="Time before the response.",
)
@click.option("--hang", is_flag=True, help="Never respond.")
@click.option("--approve", is_flag=True, help="Approve pending requests before responding.")
@click.option(
    "--validate",
    "rules",
    multiple=True,
    callback=_parse_rules,
    metavar="PARAM[:VALUE]=ERROR",
    help="Act as a validator: set this error of the parameter (if it has this value), "
    "and clear it otherwise; may be repeated.",
)
@click.option(
    "--forward-to",
    metavar="URL",
    help="Pass verified requests on to this handler, and its responses back. Webhooks are created "
    "for the products that have none which calls this port.",
)
@click.option(
    "--secret", default="", help="The webhook's JWT secret; default: read from the sandbox."
)
@options.errors_as_json
@options.data_dir
def listen(
    port: int,
    status: int,
    delay: float,
    hang: bool,
    approve: bool,
    rules: list[validator.Rule],
    forward_to: str | None,
    secret: str,
) -> None:
    """Run a webhook handler that verifies tokens, prints requests, and responds by script."""
    from connect_sim.cli.listener import Listener, Script

    running.refuse_server()
    if forward_to and (status != 200 or delay or hang or approve or rules):
        raise click.UsageError(
            "With --forward-to the handler responds: leave out --status, --delay, --hang, "
            "--approve and --validate."
        )
    handler = _Handler(status, approve, rules, secret, forward_to)
    script = Script(status, delay, hang)
    try:
        listener = Listener(
            ("127.0.0.1", port), script, handler.secret_of, handler.on_request, handler.on_response
        )
    except OSError as error:
        other = port + 1 if port < 65535 else 0
        raise click.ClickException(
            f"Cannot bind port {port}: {error.strerror}. Choose another one, for example "
            f"--port {other}."
        ) from None
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if forward_to:
            handler.begin_forwarding(listener.url)
        else:
            handler.print(f"Listening at {listener.url}. Use it as a webhook's endpoint URL.")
        listener.run()
    except _Stopped:
        pass
    finally:
        listener.stopped.set()


class _Handler:
    """Decides about requests, and prints them."""

    def __init__(
        self,
        status: int,
        approve: bool,
        rules: list[validator.Rule],
        secret: str,
        forward_to: str | None,
    ) -> None:
        from rich.console import Console

        self._console = Console(highlight=False, soft_wrap=True)
        self._printing = threading.RLock()
        self._status, self._approve, self._rules, self._secret = status, approve, rules, secret
        self._forwarder = _forwarder(forward_to) if forward_to else None
        is_needed = approve or forward_to
        sandbox = running.find() if is_needed else running.find_if_running()
        self._lookups = self._api = None
        if sandbox is not None:
            self._lookups = Client(sandbox.address, sandbox.vendor_api_key)
            # Approvals are those of a handler, and are recorded as such.
            self._api = Client(sandbox.address, sandbox.vendor_api_key, acts_as_handler=True)

    def print(self, text: str) -> None:
        """Print lines, with control characters made visible."""
        with self._printing:
            self._console.print(visible(text), markup=False)

    def begin_forwarding(self, url: str) -> None:
        """Create the webhooks that call `url` where there are none, and say what is passed on."""
        from connect_sim.cli import forwarding

        assert self._forwarder is not None and self._lookups is not None
        for row in forwarding.create_webhooks(self._lookups, url, self._forwarder.url):
            product, secret = row["product"]["id"], row["jwt_secret"]
            self.print(f"Created {row['id']} for {product}, with the JWT secret {secret}.")
        self.print(f"Listening at {url}, and passing requests on to {self._forwarder.url}.")

    def secret_of(self, webhook_id: str) -> str | None:
        """Return a webhook's secret: the option's, or the sandbox's."""
        if self._secret:
            return self._secret
        return _fetch_secret(self._lookups, webhook_id) if self._lookups else None

    def on_request(self, received: Received) -> Reply | None:
        """Print a request; return the response, None for an acknowledgement."""
        token = received.token
        with self._printing:
            self._print_head(received, f"token {token.verdict}")
            self._console.print_json(json.dumps(token.claims or {}))
        obj = validator.parse_object(received.body) if self._rules else None
        if obj is not None:
            return None if token.is_refused else self._validate(received, obj)
        if self._forwarder and not token.is_refused:
            return self._forward(received, self._forwarder)
        product_id = token.claims.get("product_id")
        if self._approve and self._api and product_id and token.is_verified:
            with _approving:
                approved = _approve_pending(self._api, product_id)
            self._print_about(received, [f"approved {request_id}" for request_id in approved])
        return None

    def on_response(self, received: Received, status: int | None, text: str) -> None:
        """Print what is returned; no status if the request hangs."""
        if status is None:
            self._print_head(received, "no response (--hang)")
            return
        shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"
        self._print_about(received, [f"returned {status}: {shown}"])

    def _print_head(self, received: Received, text: str) -> None:
        at = datetime.now(UTC).strftime("%H:%M:%S")
        self.print(f"\n#{received.number} {at} {received.method} {received.path}  {text}")

    def _print_about(self, received: Received, lines: Iterable[str]) -> None:
        """Print lines in one call: another request may be answered at the same time."""
        if text := "\n".join(f"#{received.number} {line}" for line in lines):
            self.print(text)

    def _forward(self, received: Received, forwarder: Forwarder) -> Reply:
        """Return the handler's response; a 401 if the token can't be verified."""
        from connect_sim.cli.listener import Reply

        if not received.token.is_verified:
            return Reply({"error": f"token {received.token.verdict}"}, status=401)
        return forwarder.forward(received)

    def _validate(self, received: Received, obj: dict[str, Any]) -> Reply:
        """Return the object with the errors that the rules set."""
        from connect_sim.cli.listener import Reply

        result = validator.validate(obj, self._rules)
        self._print_about(received, result.lines)
        return Reply(result.response, result.summary)


def _forwarder(url: str) -> Forwarder:
    # Imported now: the HTTP client takes a while.
    from connect_sim.cli.forwarding import Forwarder

    return Forwarder(url)


@lru_cache(maxsize=256)
def _fetch_secret(client: Client, webhook_id: str) -> str | None:
    path = f"/public/v1/notifications/webhooks/{running.segment(webhook_id)}"
    try:
        webhook = client.call("GET", path, timeout=5)
    except ApiError:
        return None
    return str(webhook["jwt_secret"])


def _approve_pending(client: Client, product_id: str) -> list[str]:
    """Approve all pending requests of a product and return their ids; raises ApiError."""
    query = f"eq(status,pending)&eq(asset.product.id,{product_id})&ordering(created)"
    # The whole list first: approving while paging would skip some.
    pending = list(client.pages("/public/v1/requests", query))
    for request in pending:
        path = f"/public/v1/requests/{request['id']}"
        if params := _missing_params(request):
            client.call("PUT", path, {"asset": {"params": params}})
        client.call("POST", f"{path}/approve", _approval(client, product_id))
    return [request["id"] for request in pending]


def _missing_params(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Return values for the required fulfillment parameters that are empty."""
    return [
        sample_values.fill(param, f"activated-{request['id']}")
        for param in request["asset"]["params"]
        if param["phase"] == "fulfillment"
        and param["constraints"].get("required")
        and not param["value"]
        and not param.get("structured_value")
    ]


def _approval(client: Client, product_id: str) -> dict[str, str]:
    path = f"/public/v1/products/{product_id}/templates?scope=asset&type=fulfillment&limit=1"
    templates = client.call("GET", path)
    return {"template_id": templates[0]["id"]} if templates else {"activation_tile": "Activated."}


class _Stopped(BaseException):
    """SIGTERM ends the handler, as a service is stopped: with exit code 0."""


def _stop(signum: int, frame: Any) -> None:
    raise _Stopped
