"""Swagger UI of an OpenAPI document, from local files and under a content policy."""

from __future__ import annotations

from typing import Any

from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny
from rest_framework.renderers import TemplateHTMLRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from portal import pages

# Its page has a style element, and its style sheet has pictures.
_POLICY = f"{pages.POLICY}; style-src 'self' 'unsafe-inline'; img-src 'self' data:"


class SwaggerPage(SpectacularSwaggerSplitView):
    """The public page of the document that `url_name` names."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    renderer_classes = [TemplateHTMLRenderer]

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Return the page, or its script for `?script`."""
        response: Response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]
        response[pages.POLICY_HEADER] = _POLICY
        return response
