"""Parts of the web server: connections, request bodies, thread pools, proxy headers."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

# ASGI's types.
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
