"""Private attributes of uvicorn and httptools that `connect_sim.server` uses.

If a test fails after an update, check how the attribute has changed before changing the test.
"""

from __future__ import annotations

import asyncio
import inspect
import re

import httptools
import pytest
import uvicorn
from uvicorn.config import Config
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import Server, ServerState

from tests.processes import ROOT


@pytest.mark.parametrize(
    "name",
    [
        "connection_made", "connection_lost", "pause_writing", "resume_writing", "on_message_begin",
        "on_url", "on_header", "on_headers_complete", "on_body", "on_message_complete",
        "on_response_complete", "handle_websocket_upgrade", "_unset_keepalive_if_required",
        "_should_upgrade", "shutdown", "data_received", "eof_received",
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
    for name in ("transport", "flow", "cycle", "pipeline", "parser", "scope", "headers",
                 "access_log"):  # fmt: skip
        assert hasattr(protocol, name), name
    assert list(inspect.signature(HttpToolsProtocol.__init__).parameters)[1:] == [
        "config", "server_state", "app_state", "_loop",
    ]  # fmt: skip
    # `on_headers_complete` reads the target from `url`, and starts the application as a task.
    source = inspect.getsource(HttpToolsProtocol.on_headers_complete)
    assert "httptools.parse_url(self.url)" in source
    # The latest cycle waits in the pipeline if another one runs.
    assert "self.pipeline.appendleft((self.cycle, app))" in source
    assert "self.pipeline.pop()" in inspect.getsource(HttpToolsProtocol.on_response_complete)
    assert "create_task" in inspect.getsource(HttpToolsProtocol._start_asgi_task)
    assert httptools_impl.STATUS_LINE[408] == b"HTTP/1.1 408 Request Timeout\r\n"


def test_cycle_has_attributes() -> None:
    source = inspect.getsource(RequestResponseCycle.__init__)
    for name in ("keep_alive", "response_complete", "response_started", "disconnected",
                 "waiting_for_100_continue", "message_event"):  # fmt: skip
        assert re.search(rf"self\.{name}\b", source), name


def test_flow_control_and_server_have_methods() -> None:
    for name in ("pause_reading", "resume_reading"):
        assert callable(getattr(FlowControl, name))
    assert "read_paused" in inspect.getsource(FlowControl.__init__)
    assert list(inspect.signature(Server.startup).parameters) == ["self", "sockets"]
    assert list(inspect.signature(Server.serve).parameters) == ["self", "sockets"]
    # The protocol class may be any callable, here a partial.
    source = inspect.getsource(Config.load)
    assert "self.http_protocol_class = self.http\n" in source


def test_parser_has_methods() -> None:
    for name in ("feed_data", "should_upgrade", "get_method"):
        assert callable(getattr(httptools.HttpRequestParser, name))

    class Quiet:
        pass

    offer = b"POST / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\nx"
    with pytest.raises(httptools.HttpParserUpgrade) as raised:
        httptools.HttpRequestParser(Quiet()).feed_data(offer)
    # The argument is the offset of the body.
    assert offer[raised.value.args[0] :] == b"x"
    assert not issubclass(httptools.HttpParserUpgrade, httptools.HttpParserError)
    assert issubclass(httptools.HttpParserCallbackError, httptools.HttpParserError)


def test_version_is_capped() -> None:
    requirement = re.search(r'"uvicorn>=[\d.]+,<([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    assert requirement is not None
    installed = tuple(map(int, uvicorn.__version__.split(".")[:2]))
    assert installed < tuple(map(int, requirement[1].split(".")))
