"""The ASGI application: routes to Django and to ASGI endpoints, which wait without a thread.

An app registers its endpoints by path prefix in its AppConfig:

    class ExampleConfig(AppConfig):
        asgi_routes = {"/example/stream": "example.stream.endpoint"}
        asgi_middleware = ["example.counting.count_calls"]
        asgi_lifespan = ["example.stream.lifespan"]

The dotted paths are imported when all apps are ready. Endpoints are ASGI applications, which check
authentication and host themselves. A middleware is a function that returns an application around
the whole application. A lifespan is a function that returns an asynchronous context manager,
entered before the first request and exited after the last.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache
from typing import Any

from django.apps import apps
from django.utils.module_loading import import_string

from connect_sim.server import Application, Message, Receive, Scope, Send
from connect_sim.server.proxies import TrustedProxies


def registered_routes() -> dict[str, Application]:
    """Return the endpoints of all apps by path prefix."""
    return {
        prefix: import_string(path)
        for config in apps.get_app_configs()
        for prefix, path in getattr(config, "asgi_routes", {}).items()
    }


def with_middleware(application: Application) -> Application:
    """Return the application inside the middleware of all apps, that of the first app outermost.

    Websockets pass it by: they are no requests that end soon.
    """
    wrapped = application
    for wrap in reversed(registered("asgi_middleware")):
        wrapped = wrap(wrapped)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await (application if scope["type"] == "websocket" else wrapped)(scope, receive, send)

    return serve


def registered(attribute: str) -> list[Any]:
    """Return what the apps list in an attribute of their AppConfigs, in their order."""
    return [
        import_string(path)
        for config in apps.get_app_configs()
        for path in getattr(config, attribute, ())
    ]


class Router:
    """Route by the longest matching path prefix, otherwise to Django."""

    def __init__(
        self,
        django: Application,
        proxies: TrustedProxies,
        routes: Mapping[str, Application],
    ) -> None:
        self._django, self._proxies = django, proxies
        self._routes = sorted(routes.items(), key=lambda route: -len(route[0]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        self._proxies.apply(scope)
        application = self._route(scope["path"])
        await application(scope, receive, _with_date(send))

    def _route(self, path: str) -> Application:
        for prefix, application in self._routes:
            if f"{path}/".startswith(f"{prefix.rstrip('/')}/"):
                return application
        return self._django


def _with_date(send: Send) -> Send:
    """Add a `Date` header to responses without one."""

    async def send_with_date(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            if not any(name.lower() == b"date" for name, _ in headers):
                headers.append((b"date", _date(int(time.time()))))
            message = {**message, "headers": headers}
        await send(message)

    return send_with_date


@lru_cache(maxsize=1)
def _date(seconds: int) -> bytes:
    return formatdate(seconds, usegmt=True).encode()
