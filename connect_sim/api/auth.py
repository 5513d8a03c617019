"""Connect's ApiKey authentication: `Authorization: ApiKey SU-ddd-ddd-ddd:secret`."""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from requests_queue import operations
from requests_queue.catalog import keys

SCHEME = "ApiKey"


class ApiKeyAuthentication(BaseAuthentication):
    """Authenticate the service user of an API key; an invalid key is 401 AUTH_001."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        """Return the service user, or None without a key; raises AuthenticationFailed."""
        scheme, _, key = request.headers.get("Authorization", "").strip().partition(" ")
        if not scheme:
            return None
        user = keys.owner(key.strip()) if scheme.lower() == SCHEME.lower() else None
        if user is None:
            raise AuthenticationFailed()
        if user.account_id:
            operations.add_ids(account=user.account_id)
        return user, None

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge; without one, DRF would return 403 instead of 401."""
        return SCHEME


class HasAccount(BasePermission):
    """Allow service users of an account."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether the caller belongs to an account."""
        return getattr(request.user, "account_id", None) is not None
