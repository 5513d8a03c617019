"""ApiKey authentication, as Connect has it: `Authorization: ApiKey SU-ddd-ddd-ddd:secret`."""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from requests_queue.catalog import keys

SCHEME = "ApiKey"


class ApiKeyAuthentication(BaseAuthentication):
    """The service user of an API key; a request without a valid one is answered 401 AUTH_001."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        """Return the service user, or None without a key; raises AuthenticationFailed."""
        scheme, _, key = request.headers.get("Authorization", "").strip().partition(" ")
        if not scheme:
            return None
        user = keys.owner(key.strip()) if scheme.lower() == SCHEME.lower() else None
        if user is None:
            raise AuthenticationFailed()
        return user, None

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge; with one, DRF answers 401 rather than 403."""
        return SCHEME


class HasAccount(BasePermission):
    """Who may use the API: a service user of an account."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Whether the caller belongs to an account."""
        return getattr(request.user, "account_id", None) is not None
