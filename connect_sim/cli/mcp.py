"""`mcp`: print what makes an agent's program use the running sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import click

from connect_sim.cli import options, output, running

_NAME = "connect-sim"
# Of `env`: it has the form that the header Authorization needs.
_VARIABLE = "CONNECT_API_KEY"


class Client(NamedTuple):
    """A program, the file of its configuration in a project, and the content for an address."""

    title: str
    file: str
    content: Callable[[str], str]


def _json(key: str, url: str, value: str, **more: str) -> Callable[[str], str]:
    """Return the content of a JSON file; `url` is the name of the address, `value` the key's."""

    def content(address: str) -> str:
        server: dict[str, Any] = {**more, url: address, "headers": {"Authorization": value}}
        return json.dumps({key: {_NAME: server}}, indent=2)

    return content


def _codex(address: str) -> str:
    return (
        f"[mcp_servers.{_NAME}]\n"
        f"url = {json.dumps(address)}\n"
        f'env_http_headers = {{ "Authorization" = "{_VARIABLE}" }}'
    )


_CLIENTS = {
    "claude": Client(
        "Claude Code",
        ".mcp.json",
        _json("mcpServers", "url", f"${{{_VARIABLE}}}", type="http"),
    ),
    "codex": Client("Codex", ".codex/config.toml", _codex),
    "cursor": Client(
        "Cursor", ".cursor/mcp.json", _json("mcpServers", "url", f"${{env:{_VARIABLE}}}")
    ),
    "gemini": Client(
        "Gemini CLI", ".gemini/settings.json", _json("mcpServers", "httpUrl", f"${_VARIABLE}")
    ),
    "vscode": Client(
        "VS Code", ".vscode/mcp.json", _json("servers", "url", f"${{env:{_VARIABLE}}}", type="http")
    ),
}


@click.command(cls=options.Command, example="connect-sim mcp claude")
@click.argument("client", required=False, type=click.Choice(list(_CLIENTS)))
@options.as_json
@options.data_dir
def mcp(client: str | None, as_json: bool) -> None:
    """Print the configuration with which agents use the running sandbox (MCP).

    For one CLIENT it is the content of its file; without one, all files are printed. The key is not
    in them: clients read it from CONNECT_API_KEY, which `connect-sim env` prints.
    """
    address = f"{running.find().address}/sandbox/mcp"
    if as_json:
        chosen = [client] if client else list(_CLIENTS)
        files = {name: (_CLIENTS[name].file, _CLIENTS[name].content(address)) for name in chosen}
        output.print_json({k: {"file": file, "content": text} for k, (file, text) in files.items()})
        return
    if client:
        click.echo(_CLIENTS[client].content(address))
        return
    output.line(f'The key is read from {_VARIABLE}: eval "$(connect-sim env)"')
    for each in _CLIENTS.values():
        click.echo(f"\n{each.title}, {each.file}:\n\n{each.content(address)}")
