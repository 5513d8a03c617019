"""Middleware: responses of Connect's API have a `Date` in platform time.

The web server adds the real time to all other responses.
"""

from __future__ import annotations

from collections.abc import Callable

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.utils.http import http_date

from requests_queue import clock
from sandbox.timeline import activity

GetResponse = Callable[[HttpRequest], HttpResponse]


def add_date(get_response: GetResponse) -> GetResponse:
    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if activity.is_api(request.path_info):
            try:
                response["Date"] = http_date(clock.now().timestamp())
            except (DatabaseError, InterfaceError):
                # The response says that the database is unavailable.
                pass
        return response

    return middleware
