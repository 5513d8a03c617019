"""`/auth`: an API key creates keys, for its own account or for a vendor of its programs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from requests_queue.api.schema import Documented
from requests_queue.catalog.models import ApiToken
from requests_queue.catalog.representations.accounts import CONTEXT, TOKEN
from requests_queue.catalog.rest import Collection
from requests_queue.catalog.writes import partners


class _OfKey(Collection):
    """What the caller's key does."""

    @property
    def token(self) -> ApiToken:
        """The caller's key."""
        return cast(ApiToken, self.request.auth)


class Contexts(_OfKey):
    """`/auth/context`: for which account the key creates keys. Other calls don't depend on it."""

    documented = Documented("Accounts", "context of a key", CONTEXT)
    bodies = {"create": partners.ContextInput()}

    def create(self, request: Request) -> Response:
        """Choose the key's own account, or a vendor of the account's programs: 201 or 400."""
        account = partners.set_context(self.token, self.account, self.body["account"])
        return Response(
            CONTEXT.represent(SimpleNamespace(account=account, user=self.user)), status=201
        )


class Tokens(_OfKey):
    """`/auth/tokens`: keys in the context of the caller's."""

    documented = Documented("Accounts", "API key", TOKEN)
    bodies = {"create": partners.TokenInput()}

    def create(self, request: Request) -> Response:
        """Create a key with the modules of the caller's: 201, the only response with its secret."""
        body = self.body
        key, row, account = partners.create_token(self.token, self.account, body)
        shown = SimpleNamespace(
            row=row,
            account=account,
            secret=key.partition(":")[2],
            extension=body["extension"],
        )
        return Response(TOKEN.represent(shown), status=201)


urlpatterns = [
    path("auth/context", Contexts.as_view({"post": "create"})),
    path("auth/tokens", Tokens.as_view({"post": "create"})),
]
