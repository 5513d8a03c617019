"""The ways to start: the bundled handler, one's own in a language, or pytest; and their commands.

Commands contain an API key and a secret. Both are masked until the user asks for them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from shlex import quote

from django.templatetags.static import static
from django.utils.crypto import salted_hmac

from portal.home import first_steps
from portal.home.first_steps import CommandLine
from portal.starters import LANGUAGES, Language
from requests_queue.catalog.models import Account, Product
from requests_queue.queues.fulfillment import first_order
from webhooks.delivery.request import mask_secret
from webhooks.models import Webhook
from webhooks.types import EVENT

LABEL = "My first webhook"
_MASK = "••••••••"
_NO_KEY = "ApiKey SU-…:…"
_OWN_URL = "http://127.0.0.1:9000/"


@dataclass
class Start:
    """A way to start of an account, at a server's URL as the user's browser has it."""

    account: Account
    chosen: str
    server: str
    is_revealed: bool = False

    @cached_property
    def tools(self) -> CommandLine | None:
        """The commands that the user has in a terminal."""
        return first_steps.command_line()

    @property
    def choices(self) -> list[tuple[str, str]]:
        """The ways, each with its label; the first is the default."""
        own = {key: each.label for key, each in LANGUAGES.items()} if self.account.is_vendor else {}
        own["other"] = "Other"
        bundled = {"bundled": "Bundled handler"} if self.tools else {}
        tests = {"pytest": "pytest"} if self.tools and self.account.is_vendor else {}
        return list((bundled | own | tests).items())

    @property
    def key(self) -> str:
        """The chosen way, or the default."""
        keys = [key for key, _ in self.choices]
        return self.chosen if self.chosen in keys else keys[0]

    @property
    def language(self) -> Language | None:
        """The language of the chosen way."""
        return LANGUAGES.get(self.key)

    @property
    def url(self) -> str:
        """The endpoint URL of the handler."""
        if self.tools is None:
            return _OWN_URL
        return self.tools.url if self.key == "bundled" else self.tools.own_url

    @cached_property
    def product(self) -> Product | None:
        connection = first_order.connection(self.account)
        return connection.product if connection else None

    @cached_property
    def webhook(self) -> Webhook | None:
        """The webhook of that product that calls the handler."""
        rows = Webhook.objects.filter(account=self.account, product=self.product, type=EVENT)
        return rows.filter(external_url=self.url).order_by("created_at", "pk").first()

    @cached_property
    def secret(self) -> str:
        """The webhook's secret, or the one that it will have."""
        if self.webhook:
            return str(self.webhook.jwt_secret)
        drawn = salted_hmac("portal.home.starts", self.account.pk).hexdigest()
        return f"JWT-{drawn[:32]}"

    @cached_property
    def api_key(self) -> str:
        """An API key of the account; empty if none is known."""
        return self.tools.api_key(self.account) if self.tools else ""

    @property
    def has_secrets(self) -> bool:
        """Whether a command contains a secret."""
        return self.key not in ("bundled", "pytest") or bool(self.api_key)

    @property
    def _shown_key(self) -> str:
        if not self.api_key:
            return _NO_KEY
        user, _, secret = self.api_key.partition(":")
        return f"ApiKey {user}:{secret if self.is_revealed else _MASK}"

    @property
    def _shown_secret(self) -> str:
        return self.secret if self.is_revealed else mask_secret(self.secret)

    @property
    def handler_command(self) -> str:
        """The command that starts the handler, or that sets what an own one needs."""
        if self.key == "bundled" and self.tools:
            return self.tools.listen_and_approve if self.account.is_vendor else self.tools.listen
        lines = [
            f"export CONNECT_API_URL={self.server}/public/v1",
            f"export CONNECT_API_KEY={quote(self._shown_key)}",
            f"export JWT_SECRET={quote(self._shown_secret)}",
        ]
        if self.language:
            is_local = "127.0.0.1" in self.url
            host = "127.0.0.1" if is_local else "0.0.0.0"
            lines = [
                self._download(self.key, self.language.file),
                *lines,
                *([] if is_local else [f"export HOST={host}"]),
                self.language.command.format(host=host, port=9000),
            ]
        return "\n".join(lines)

    @property
    def webhook_command(self) -> str:
        """The command that creates the webhook through the API."""
        body = {
            "label": LABEL,
            "product_id": self.product.pk if self.product else "PRD-…",
            "object_class": "fulfillment_request",
            "external_url": self.url,
            "jwt_secret": self._shown_secret,
        }
        return "\n".join(
            [
                f"curl -sS {self.server}/public/v1/notifications/webhooks \\",
                f"  -H {quote(f'Authorization: {self._shown_key}')} \\",
                "  -H 'Content-Type: application/json' \\",
                f"  -d {quote(json.dumps(body, ensure_ascii=False))}",
            ]
        )

    @property
    def order_command(self) -> str:
        if self.tools and self.product:
            return f"{self.tools.order} {self.product.pk}"
        body = first_order.body(self.account)
        return first_order.curl(self.server, "KEY-OF-THE-DISTRIBUTOR", body) if body else ""

    @property
    def pytest_commands(self) -> list[tuple[str, str]]:
        """The steps with pytest: a title and a command each."""
        files = [self._download("python", name) for name in ("handler.py", "test_handler.py")]
        install = self.tools.install_pytest if self.tools else ""
        return [
            ("Install the plugin", install),
            ("Get a handler and two tests of it", "\n".join(files)),
            ("Run the tests", ".venv/bin/python -m pytest test_handler.py"),
        ]

    @property
    def source(self) -> str:
        """The page of the handler's source."""
        return _static(self.key, self.language.file) if self.language else ""

    def _download(self, language: str, name: str) -> str:
        return f"curl -sS -o {name} {self.server}{_static(language, name)}"


def _static(language: str, name: str) -> str:
    return static(f"portal/handlers/{language}/{name}")
