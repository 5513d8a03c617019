"""The second port of the sandbox, which speaks TLS: the gateway opens it for extensions."""

from collections.abc import Callable

# Opens the port in this process, and returns it; set by the web server.
opener: Callable[[], int] | None = None
