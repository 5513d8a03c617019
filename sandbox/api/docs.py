"""`/llms.txt` and `/sandbox/docs/…`: the users' pages of the documentation, as Markdown.

Like the OpenAPI document, they need no API key: they say nothing about this sandbox.
"""

from __future__ import annotations

from django.http import HttpResponse
from django.urls import path
from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from sandbox import documentation

_PREFIX = "/sandbox/docs/"


class _PublicView(APIView):
    """A view that anybody may use."""

    authentication_classes = ()
    permission_classes = (AllowAny,)


class ListView(_PublicView):
    """`GET /llms.txt`: the list of pages, in the form of llmstxt.org; for anybody."""

    def get(self, request: Request) -> HttpResponse:
        """Return 200 with the text."""
        text = documentation.llms_text(_PREFIX)
        return HttpResponse(text, content_type="text/plain; charset=utf-8")


class PageView(_PublicView):
    """`GET /sandbox/docs/{page}.md`: a page, for anybody; 404 for other files of the folder.

    A link leads to another page, or out of the sandbox: other files are named without one.
    """

    def get(self, request: Request, name: str) -> HttpResponse:
        """Return 200 with the Markdown."""
        try:
            page = documentation.find(name)
        except documentation.UnknownPage as error:
            raise NotFound(str(error)) from None
        return HttpResponse(page.linked_text, content_type="text/markdown; charset=utf-8")


list_urlpatterns = [path("llms.txt", ListView.as_view())]
urlpatterns = [path("docs/<path:name>", PageView.as_view())]
