"""`/branding/brand`: the brand of the caller's account, which CloudBlue's extensions ask for.

The document has `/brand` and `/brands`, without this path and without what the response has; the
keys are those that published extensions read.
"""

from __future__ import annotations

from typing import cast
from urllib.parse import urlsplit

from django.conf import settings
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from requests_queue.catalog.models import Account, User
from requests_queue.errors import Missing

# Connect's own, which every account has that has no other.
PLATFORM = "BR-000"


class Brand(APIView):
    """The brand of an account, or of the platform."""

    def get(self, request: Request) -> Response:
        """Return 200 with the brand of that `id`, by default the account's; 404 for others."""
        account = cast(Account, cast(User, request.user).account)
        own = account.brand or PLATFORM
        pk = request.query_params.get("id") or own
        if pk not in (own, PLATFORM):
            raise Missing(pk)
        domain = urlsplit(settings.SIM_PUBLIC_URL).netloc
        name = "Connect" if pk == PLATFORM else account.name
        return Response(
            {
                "id": pk,
                "name": name,
                "customization": {"email": "no-reply@example.com", "emailName": name},
                "portals": {domain: {"domain": domain}},
            }
        )


urlpatterns = [path("branding/brand", Brand.as_view())]
