"""`GET /public/v1`: where the API and its document are."""

from __future__ import annotations

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class Root(APIView):
    """The root of the API, with which clients try an address and a key."""

    def get(self, request: Request) -> Response:
        """Return 200 with the addresses of the API, its document and Swagger UI."""
        root = f"{settings.SIM_API_URL}/public/v1"
        return Response({"api": root, "schema": f"{root}/schema", "docs": f"{root}/docs"})
