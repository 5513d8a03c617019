"""Private attributes of uvicorn that `connect_sim.server.protocol` uses.

If a test fails after an update, check how the attribute has changed before changing the test.
"""

from __future__ import annotations

import asyncio
import inspect
import re

import pytest
import uvicorn
from uvicorn.config import Config
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import Server, ServerState

from tests.processes import ROOT


@pytest.mark.parametrize(
    "name",
    [
        "connection_made", "connection_lost", "data_received", "eof_received",
        "on_headers_complete", "on_message_complete", "on_response_complete",
        "timeout_keep_alive_handler", "_start_asgi_task", "_unset_keepalive_if_required",
    ],
)  # fmt: skip
def test_protocol_has_method(name: str) -> None:
    assert callable(getattr(HttpToolsProtocol, name))


def test_protocol_has_attributes() -> None:
    async def app(*arguments: object) -> None: ...

    async def make() -> HttpToolsProtocol:
        config = Config(app, interface="asgi3", log_config=None)
        return HttpToolsProtocol(config=config, server_state=ServerState(), app_state={})

    protocol = asyncio.run(make())
    for name in ("transport", "loop", "cycle", "pipeline", "parser", "scope", "headers",
                 "access_log", "timeout_keep_alive", "timeout_keep_alive_task"):  # fmt: skip
        assert hasattr(protocol, name), name
    # Each request starts here, and the latest cycle waits in the pipeline if another one runs.
    source = inspect.getsource(HttpToolsProtocol.on_headers_complete)
    assert "self._start_asgi_task(self.cycle, app)" in source
    assert "self.pipeline.appendleft((self.cycle, app))" in source
    source = inspect.getsource(HttpToolsProtocol.on_response_complete)
    assert "self._start_asgi_task(cycle, app)" in source
    # The application runs later, so the target may still be set.
    assert "create_task" in inspect.getsource(HttpToolsProtocol._start_asgi_task)
    assert httptools_impl.STATUS_LINE[408] == b"HTTP/1.1 408 Request Timeout\r\n"


def test_cycle_has_attributes() -> None:
    source = inspect.getsource(RequestResponseCycle.__init__)
    for name in ("keep_alive", "response_complete", "response_started", "disconnected",
                 "message_event"):  # fmt: skip
        assert re.search(rf"self\.{name}\b", source), name


def test_server_has_methods() -> None:
    assert list(inspect.signature(Server.startup).parameters) == ["self", "sockets"]
    assert list(inspect.signature(Server.serve).parameters) == ["self", "sockets"]


def test_version_is_capped() -> None:
    requirement = re.search(r'"uvicorn>=[\d.]+,<([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    assert requirement is not None
    installed = tuple(map(int, uvicorn.__version__.split(".")[:2]))
    assert installed < tuple(map(int, requirement[1].split(".")))
