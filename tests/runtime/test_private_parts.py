"""The private parts of libraries that the code uses, and what each has to have.

There are three: uvicorn's HTTP protocol, aiohttp's connections and django-rql's cache of queries. A
release of a library may change them without a word, so `pyproject.toml` bounds its version. Raise
the bound when these tests, and those of what the part is used for, pass with the new one.
`tools/private_parts.py` finds any other one.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from packaging.requirements import Requirement
from py_rql.parser import RQLParser
from uvicorn.config import Config
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from tests.processes import ROOT

# Methods that are overridden or called, with the parameters that matter.
METHODS: dict[type[Any], dict[str, list[str]]] = {
    HttpToolsProtocol: {
        "connection_made": ["transport"],
        "connection_lost": ["exc"],
        "data_received": ["data"],
        "eof_received": [],
        "on_headers_complete": [],
        "on_message_complete": [],
        "on_response_complete": [],
        "timeout_keep_alive_handler": [],
        "_start_asgi_task": ["cycle", "app"],
        "_unset_keepalive_if_required": [],
    },
    aiohttp.ClientRequest: {
        "__init__": ["method", "url", "headers", "skip_auto_headers", "loop", "proxy"],
        "is_ssl": [],
    },
    aiohttp.TCPConnector: {"connect": ["req", "traces", "timeout"]},
    Connection: {"close": [], "release": []},
    ResponseHandler: {
        "abort": [],
        "close": [],
        "data_received": ["data"],
        "feed_data": ["data", "size"],
        "force_close": [],
        "read": [],
        "set_exception": ["exc", "exc_cause"],
        "set_response_params": [
            "skip_payload",
            "read_until_eof",
            "auto_decompress",
            "read_bufsize",
        ],
    },
}


@pytest.mark.parametrize("cls", METHODS)
def test_methods_have_the_parameters_that_are_used(cls: type[Any]) -> None:
    for name, parameters in METHODS[cls].items():
        actual = inspect.signature(getattr(cls, name)).parameters
        assert set(parameters) <= set(actual), name


@pytest.mark.parametrize("name", ["uvicorn", "aiohttp", "lib-rql"])
def test_next_minor_version_is_not_known_to_fit(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    specifier = {r.name: r.specifier for r in map(Requirement, project["dependencies"])}[name]
    major, minor, *_ = map(int, version(name).split("."))
    assert version(name) in specifier and f"{major}.{minor + 1}.0" not in specifier


def test_protocol_of_uvicorn_has_the_attributes_that_are_used() -> None:
    async def app(*arguments: object) -> None: ...

    async def make() -> HttpToolsProtocol:
        config = Config(app, interface="asgi3", log_config=None)
        return HttpToolsProtocol(config=config, server_state=ServerState(), app_state={})

    protocol = asyncio.run(make())
    used = "transport loop cycle pipeline parser scope headers access_log timeout_keep_alive "
    for name in (used + "timeout_keep_alive_task").split():
        assert hasattr(protocol, name), name
    # Each request starts here, and the latest cycle waits in the pipeline if another one runs.
    source = inspect.getsource(HttpToolsProtocol.on_headers_complete)
    assert "self._start_asgi_task(self.cycle, app)" in source
    assert "self.pipeline.appendleft((self.cycle, app))" in source
    source = inspect.getsource(HttpToolsProtocol.on_response_complete)
    assert "self._start_asgi_task(cycle, app)" in source
    # The application runs later, so the target may still be set.
    assert "create_task" in inspect.getsource(HttpToolsProtocol._start_asgi_task)
    # What an upgrade hands the connection to.
    parameters = inspect.signature(WebSocketsSansIOProtocol).parameters
    assert {"config", "server_state", "app_state"} <= set(parameters)
    assert httptools_impl.STATUS_LINE[408] == b"HTTP/1.1 408 Request Timeout\r\n"
    source = inspect.getsource(RequestResponseCycle.__init__)
    used = "keep_alive response_complete response_started disconnected message_event"
    for name in used.split():
        assert re.search(rf"self\.{name}\b", source), name


def test_connections_of_aiohttp_have_the_attributes_that_are_used() -> None:
    async def look() -> None:
        loop = asyncio.get_running_loop()
        assert ResponseHandler(loop)._exception is None
        async with aiohttp.TCPConnector() as connector:
            assert connector._loop is loop
            assert connector._factory.func is ResponseHandler  # type: ignore[attr-defined]
            assert connector._factory.keywords == {"loop": loop}  # type: ignore[attr-defined]

    asyncio.run(look())
    # Set or overridden, it is read as well.
    source = Path(aiohttp.connector.__file__).read_text()
    assert "self._factory" in source
    assert "protocol.should_close" in inspect.getsource(aiohttp.TCPConnector._release)
    # What a tunnel through a proxy does first.
    assert "set_response_params(" in source


def test_parser_of_rql_keeps_queries_in_its_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    cache: dict[int, Any] = {}
    monkeypatch.setattr(RQLParser, "_cache", cache)
    tree = RQLParser.parse_query("eq(a,b)")
    assert list(cache.values()) == [tree]
    assert RQLParser.parse_query("eq(a,b)") is tree
