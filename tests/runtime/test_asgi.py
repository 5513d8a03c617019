"""ASGI endpoints that apps register by path prefix, with a lifespan."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from django.apps import apps

from connect_sim import asgi, web
from connect_sim.server.protocol import CONNECTION
from connect_sim.server.proxies import TrustedProxies
from tests.processes import free_port
from tests.runtime.serving import ask, connect, exchange, head, is_closed, read, serving
from tests.runtime.test_http import echo

events: list[str] = []


async def endpoint(scope: Any, receive: Any, send: Any) -> None:
    """Wait without a thread, cut the connection, or return path and client."""
    if scope["path"].endswith("/cut"):
        scope["extensions"][CONNECTION].transport.abort()
        return
    if scope["path"].endswith("/wait"):
        await asyncio.sleep(0.3)
    body = f"endpoint {scope['path']} {scope['client'][0]}".encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def lifespan() -> AsyncIterator[None]:
    events.append("started")
    yield
    events.append("stopped")


@asynccontextmanager
async def failing_lifespan() -> AsyncIterator[None]:
    raise RuntimeError("on purpose")
    yield


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    config = apps.get_app_config("portal")
    monkeypatch.setattr(config, "asgi_routes", {"/native": f"{__name__}.endpoint"}, raising=False)
    monkeypatch.setattr(config, "asgi_lifespan", [f"{__name__}.lifespan"], raising=False)
    events.clear()
    yield config


def get(line: Any, path: str) -> bytes:
    status, headers, content = exchange(line, head(path))
    assert status == 200 and "date" in headers
    return content


def test_registered_prefixes_are_routed_to_the_endpoint(registered: Any, settings: Any) -> None:
    with serving(echo, settings) as url, connect(url) as line:
        assert events == ["started"]
        for path in ("/native", "/native/x", "//native//x", "/nativ%65/"):
            assert get(line, path).startswith(b"endpoint /")
        for path in ("/", "/native-not", "/x/native"):
            assert b'"PATH_INFO"' in get(line, path)
    assert events == ["started", "stopped"]


def test_waiting_endpoint_uses_no_thread(registered: Any, settings: Any) -> None:
    with serving(echo, settings, threads=1) as url:
        waiting = [connect(url) for _ in range(20)]
        for line in waiting:
            line.sendall(head("/native/wait"))
        assert b'"PATH_INFO"' in ask(url, head("/"))[2]
        for line in waiting:
            assert read(line)[2].startswith(b"endpoint /native/wait")
            line.close()


def test_endpoint_can_cut_its_connection(registered: Any, settings: Any) -> None:
    with serving(echo, settings) as url, connect(url) as line:
        line.sendall(head("/native/cut"))
        assert is_closed(line)


def test_endpoint_gets_the_forwarded_client(registered: Any, settings: Any) -> None:
    settings.SIM_TRUSTED_PROXY = "loopback"
    with serving(echo, settings) as url:
        content = ask(url, head("/native", b"X-Forwarded-For: 203.0.113.7\r\n"))[2]
    assert content == b"endpoint /native 203.0.113.7"


def test_longest_prefix_wins() -> None:
    called: list[str] = []

    def named(name: str) -> Any:
        async def application(*arguments: Any) -> None:
            called.append(name)

        return application

    router = asgi.Router(
        named("django"), TrustedProxies(""), {"/a": named("a"), "/a/b": named("a/b")}
    )
    for path in ("/a", "/a/", "/a/bc", "/a/b", "/a/b/c", "/ab"):
        scope = {"type": "http", "path": path, "headers": [], "client": None}
        asyncio.run(router(scope, None, None))  # type: ignore[arg-type]
    assert called == ["a", "a", "a", "a/b", "a/b", "django"]


def test_failing_lifespan_prevents_the_start(
    registered: Any, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    registered.asgi_lifespan = [f"{__name__}.failing_lifespan"]
    settings.SIM_BIND = f"127.0.0.1:{free_port()}"
    server = web.Web(echo, 1)
    with pytest.raises(web.NotStarted):
        server.start()
    assert "on purpose" in caplog.text
    server.stop()
    assert not server.is_running()
