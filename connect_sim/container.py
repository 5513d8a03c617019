"""What a sandbox in a container tells its users: how to reach into it, and out of it."""

from __future__ import annotations

import re
import socket

# What Docker calls its host inside containers; Podman knows the name too.
HOST = "host.docker.internal"
_ID = re.compile(r"[0-9a-f]{12}")


def program() -> str:
    """Return how users call the program in this container.

    Unless it was given a name, a container's host name is the beginning of its id.
    """
    name = socket.gethostname()
    return f"docker exec -it {name if _ID.fullmatch(name) else 'CONTAINER'} connect-sim"


def hints(api_url: str, port: int) -> list[str]:
    """Return lines about handlers on the host and about published ports."""
    return [
        "This is a container:",
        f"  A handler on the host has the endpoint URL http://{HOST}:{port}/. On Linux it must",
        "  listen on 0.0.0.0, and the container needs the option",
        f"  --add-host={HOST}:host-gateway",
        f"  Handlers call back {api_url} (SIM_API_URL). If you publish another port than",
        "  the one of this URL, set SIM_PUBLIC_URL=http://localhost:PORT.",
    ]
