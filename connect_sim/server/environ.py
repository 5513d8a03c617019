"""A WSGI environment from an ASGI scope, byte for byte what the client sent."""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from functools import lru_cache
from typing import IO, Any
from urllib.parse import unquote_to_bytes
from wsgiref.util import FileWrapper

_FILE_BLOCK = 64 * 1024
_UNPREFIXED = ("CONTENT_LENGTH", "CONTENT_TYPE")


def build(scope: MutableMapping[str, Any], body: IO[bytes], length: int) -> dict[str, Any]:
    """Return the environment of a request whose body has `length` bytes.

    Unlike a2wsgi's it takes queries that are not ASCII and paths that are not UTF-8, and leaves out
    headers with an underscore in their name, which could stand for a proxy's header.
    """
    client = scope.get("client") or ("", 0)
    path = unquote_to_bytes(scope["raw_path"]).decode("latin-1")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        # Django would take the first name of `//name/` for a host.
        "PATH_INFO": "/" + path.lstrip("/") if path.startswith("/") else path,
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        # Only for requests without a Host header, which Django refuses.
        "SERVER_NAME": "no-host-header.invalid",
        "SERVER_PORT": str((scope.get("server") or ("", 0))[1] or 0),
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": _file_wrapper,
        "asgi.scope": scope,
    }
    for name, value in scope["headers"]:
        key = _key(name)
        if key is None:
            continue
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]}, {text}" if key in environ else text
    # What was declared may be missing (a chunked body).
    if length or "CONTENT_LENGTH" in environ:
        environ["CONTENT_LENGTH"] = str(length)
    return environ


@lru_cache(maxsize=1024)
def _key(name: bytes) -> str | None:
    if b"_" in name or name == b"transfer-encoding":
        return None
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in _UNPREFIXED else f"HTTP_{key}"


def _file_wrapper(file: Any, block: int) -> FileWrapper:
    """Read a file in blocks larger than Django's 4 KiB: each is a step between two threads."""
    return FileWrapper(file, max(block, _FILE_BLOCK))
