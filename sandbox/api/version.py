"""`/sandbox/version`: which version runs, for a client that compares it with its own."""

from __future__ import annotations

from django.conf import settings
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from sandbox.api import types
from sandbox.api.operations import Operation, Operations


class VersionView(APIView):
    """`GET /sandbox/version`, with any API key."""

    operations: Operations = {"get": Operation("Version", "Read the version", types.Version)}

    def get(self, request: Request) -> Response:
        """Return the version of Connect Sim, as `connect-sim --version` prints it."""
        return Response({"version": settings.VERSION})


urlpatterns = [path("version", VersionView.as_view())]
