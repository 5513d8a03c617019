"""The page of the timeline, newest first and live, and of an API call; for signed-in users."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse

from portal import layout, pages
from portal.deliveries import bodies
from portal.deliveries.bodies import Body
from portal.identity import Viewer
from requests_queue.errors import Invalid, Missing
from sandbox.models import ApiCall
from sandbox.pages import stream, stream_rows
from sandbox.pages.stream import Filter
from sandbox.readings import handler_activity
from sandbox.readings.handler_activity import Call
from sandbox.timeline.timeline import Cursor
from webhooks.models import Webhook

MAX_BODY = 3000  # characters of a body that are shown
MAX_WEBHOOKS = 200  # in the filter


def shown(call: Call) -> dict[str, Any]:
    """Return an API call as templates have it: its bodies, cut, and the ids of their elements."""
    return {
        "call": call,
        "request_body": _body(call.request_body),
        "request_id": f"call-{call.id}-request",
        "response_body": _body(call.response_body),
        "response_id": f"call-{call.id}-response",
    }


def _body(text: str) -> Body:
    body = bodies.read(text.encode(), [], as_sent=False, full=False)
    left_out = max(0, len(body.text) - MAX_BODY)
    body.text, body.more = body.text[:MAX_BODY], body.more + left_out
    return body


@layout.signed_in("GET")
def page(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show the entries, or with `since` those that are new, which htmx polls."""
    try:
        chosen, before, since = stream.parse(request.GET)
    except Invalid as invalid:
        context = {"chosen": Filter(), "error": str(invalid), **_choices(viewer, Filter())}
        return layout.render(request, viewer, "sandbox/timeline.html", context, 400)
    if since is not None and layout.is_htmx(request):
        return _newer(request, viewer, chosen, since)
    read = stream.read(viewer.account, chosen, before)
    context = {
        "chosen": chosen,
        "page": read,
        "rows": stream_rows.of(read.entries, viewer.account),
        "is_newest": before is None,
        **_queries(chosen, read),
    }
    if layout.is_htmx(request):
        return layout.render(request, viewer, "sandbox/stream.html", context)
    context |= _choices(viewer, chosen)
    return layout.render(request, viewer, "sandbox/timeline.html", context)


def _newer(request: HttpRequest, viewer: Viewer, chosen: Filter, since: Cursor) -> HttpResponse:
    read = stream.read(viewer.account, chosen, since=since)
    if not read.entries:
        return pages.empty()
    context = {
        "rows": stream_rows.of(read.entries, viewer.account),
        "is_newest": True,
        **_queries(chosen, read),
    }
    if read.older is None:
        return layout.render(request, viewer, "sandbox/stream_newer.html", context)
    # There is a gap above the page's rows: these replace them.
    response = layout.render(request, viewer, "sandbox/stream.html", context)
    response["HX-Retarget"], response["HX-Reswap"] = "#stream", "outerHTML"
    return response


def _queries(chosen: Filter, read: stream.Page) -> dict[str, object]:
    return {
        "is_filtered": chosen != Filter(),
        "newest": chosen.query(),
        "older": chosen.query(before=read.older) if read.older else "",
        "poll": chosen.query(since=read.until),
    }


def _choices(viewer: Viewer, chosen: Filter) -> dict[str, object]:
    rows = Webhook.objects.filter(account=viewer.account).order_by("label", "pk")
    groups = [("", "All", chosen.query(kind=None))]
    groups += [(name, label, chosen.query(kind=name)) for name, (label, _) in stream.GROUPS.items()]
    return {
        "groups": groups,
        "webhooks": list(rows.values_list("pk", "label")[:MAX_WEBHOOKS]),
        "without_after": chosen.query(after=None) if chosen.after else "",
    }


@layout.signed_in("GET")
def call(request: HttpRequest, viewer: Viewer, pk: int) -> HttpResponse:
    """Show an API call of the viewer's account; for htmx only what a row of the timeline lacks."""
    own = ApiCall.objects.filter(account_id=viewer.account.pk)
    # A larger number would be an error of the database.
    calls = handler_activity.load(own.filter(pk=pk)) if pk < 2**63 else []
    if not calls:
        raise Missing(str(pk))
    context = {"call": calls[0], "shown": shown(calls[0]), "names_attempt": True}
    template = "sandbox/call_part.html" if layout.is_htmx(request) else "sandbox/api_call.html"
    return layout.render(request, viewer, template, context)
