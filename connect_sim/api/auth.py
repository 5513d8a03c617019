"""Connect's ApiKey authentication: `Authorization: ApiKey SU-ddd-ddd-ddd:secret`."""

from __future__ import annotations

from typing import Any, cast

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from requests_queue import operations
from requests_queue.catalog import keys
from requests_queue.catalog.models import ApiToken
from requests_queue.catalog.modules import find_module
from requests_queue.errors import Forbidden

SCHEME = "ApiKey"
_PREFIX = "/public/v1"


class ApiKeyAuthentication(BaseAuthentication):
    """Authenticate the service user of an API key; an invalid key is 401 AUTH_001."""

    def authenticate(self, request: Request) -> tuple[Any, ApiToken] | None:
        """Return service user and key, or None without a key; raises AuthenticationFailed."""
        scheme, _, key = request.headers.get("Authorization", "").strip().partition(" ")
        if not scheme:
            return None
        user = keys.owner(key.strip()) if scheme.lower() == SCHEME.lower() else None
        if user is None:
            raise AuthenticationFailed()
        if user.account_id:
            operations.add_ids(account=user.account_id)
        # The key was read with its user: this costs no query.
        return user, user.token

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge; without one, DRF would return 403 instead of 401."""
        return SCHEME


class HasAccount(BasePermission):
    """Allow service users of an account."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether the caller belongs to an account."""
        return getattr(request.user, "account_id", None) is not None


class HasModule(BasePermission):
    """Allow keys that have permission for the module of the path; others get 403.

    The key is as it was when the request began: a change counts from the next request on.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return True; raises Forbidden, which names the module."""
        module = find_module(request.path_info.removeprefix(_PREFIX))
        token = cast(ApiToken, request.auth)
        if module is not None and not token.allows(module):
            raise Forbidden(
                f"The API key has no permission for the module {module}. Give it to the key, or "
                "use another one."
            )
        return True
