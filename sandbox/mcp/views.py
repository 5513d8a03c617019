"""`/sandbox/mcp`: the sandbox for agents, by the Model Context Protocol (streamable HTTP).

It needs the extra `mcp` of the distribution, which is imported at the first call.
"""

from __future__ import annotations

from functools import partial

from django.conf import settings
from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request
from rest_framework.views import APIView

from portal.live.views import is_same_origin
from requests_queue.errors import Forbidden, Refused
from sandbox.timeline.observer import DEFERRED

# What the extra installs, and `sandbox.mcp.server` imports.
_PACKAGES = ("mcp", "mcp_types", "jsonschema")


class McpView(APIView):
    """`POST /sandbox/mcp`: a message of JSON-RPC; stateless, so there is no GET and no DELETE."""

    def post(self, request: Request) -> HttpResponse:
        """Respond to a message; 403 to pages of other servers, 501 without the extra."""
        if not is_same_origin(request):
            raise Forbidden("A page of another server may not use the sandbox.")
        try:
            from sandbox.mcp import server
        except ImportError as error:
            if (error.name or "").partition(".")[0] not in _PACKAGES:
                raise
            text = "MCP needs a package. Install it:"
            command = settings.MCP_INSTALLATION
            raise Refused("SYS_501", f"{text} {command}", status=501) from None
        deferral = request.META.get(DEFERRED)
        if deferral is None:
            raise Refused("SYS_503", "MCP needs the sandbox's own web server.", status=503)
        deferral.work = partial(server.respond, request.META["asgi.scope"], request.body)
        return HttpResponse(content_type="application/json")


urlpatterns = [path("mcp", McpView.as_view())]
