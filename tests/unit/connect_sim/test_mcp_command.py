"""`connect-sim mcp`: the configuration of each program, without the key."""

from __future__ import annotations

import json
import tomllib

import pytest

from connect_sim.cli.mcp import _CLIENTS
from tests.program import run, run_json
from tests.unit.connect_sim.recording_server import Server

HEADERS = {
    "claude": ("mcpServers", "url", "${CONNECT_API_KEY}"),
    "cursor": ("mcpServers", "url", "${env:CONNECT_API_KEY}"),
    "gemini": ("mcpServers", "httpUrl", "$CONNECT_API_KEY"),
    "vscode": ("servers", "url", "${env:CONNECT_API_KEY}"),
}


@pytest.mark.parametrize("client", HEADERS)
def test_file_of_a_program_reads_the_key_from_the_environment(client: str, server: Server) -> None:
    servers, address, header = HEADERS[client]
    [(name, entry)] = json.loads(run("mcp", client))[servers].items()
    assert name == "connect-sim"
    assert entry[address] == f"{server.url}/sandbox/mcp"
    assert entry["headers"] == {"Authorization": header}


def test_file_of_codex_names_the_variable(server: Server) -> None:
    assert tomllib.loads(run("mcp", "codex")) == {
        "mcp_servers": {
            "connect-sim": {
                "url": f"{server.url}/sandbox/mcp",
                "env_http_headers": {"Authorization": "CONNECT_API_KEY"},
            }
        }
    }


def test_all_files_are_named(server: Server) -> None:
    printed = run("mcp")
    for name, client in _CLIENTS.items():
        assert f"{client.title}, {client.file}:\n\n{run('mcp', name)}" in printed
    assert "SU-1" not in printed and server.requests == []


def test_files_are_printed_as_json(server: Server) -> None:
    printed = run_json("mcp")
    assert {name: each["file"] for name, each in printed.items()} == {
        name: client.file for name, client in _CLIENTS.items()
    }
    for name, each in printed.items():
        assert f"{each['content']}\n" == run("mcp", name)
    assert run_json("mcp", "codex") == {"codex": printed["codex"]}
