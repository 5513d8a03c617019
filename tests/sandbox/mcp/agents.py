"""An agent that uses a sandbox by the official client library, over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, Tool

PATH = "/sandbox/mcp"


@dataclass(frozen=True)
class Agent:
    """A client of one sandbox; a `legacy` one speaks a version of the protocol with a handshake."""

    url: str
    key: str
    mode: str = "auto"

    def tools(self) -> dict[str, Tool]:
        async def listed(client: Client) -> list[Tool]:
            return (await client.list_tools()).tools

        return {tool.name: tool for tool in self.run(listed)}

    def instructions(self) -> str:
        async def read(client: Client) -> str:
            return client.instructions or ""

        return self.run(read)

    def call(self, name: str, /, **arguments: Any) -> Any:
        """Return the structured result of a call that succeeds; its text says the same."""
        result = self.result(name, **arguments)
        assert not result.is_error, result.content
        [text] = result.content
        assert json.loads(text.text) == result.structured_content
        return result.structured_content

    def refusal(self, name: str, /, **arguments: Any) -> Any:
        """Return the error of a call that is refused."""
        result = self.result(name, **arguments)
        assert result.is_error and result.structured_content is None, result
        [text] = result.content
        return json.loads(text.text)

    def error(self, name: str, /, **arguments: Any) -> str:
        """Return the sentences of a call that is refused."""
        return " ".join(self.refusal(name, **arguments)["errors"])

    def result(self, name: str, /, **arguments: Any) -> CallToolResult:
        async def called(client: Client) -> CallToolResult:
            return await client.call_tool(name, arguments)

        return self.run(called)

    def run(self, use: Callable[[Client], Awaitable[Any]]) -> Any:
        """Run a coroutine function with a client."""

        async def main() -> Any:
            headers = {"Authorization": f"ApiKey {self.key}"}
            async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
                transport = streamable_http_client(f"{self.url}{PATH}", http_client=http)
                async with Client(transport, mode=self.mode) as client:
                    return await use(client)

        return asyncio.run(main())


def message(method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a message of JSON-RPC."""
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
