"""`python -m connect_sim.probe /readyz`: exit with 0 if this machine's server answers with 200.

For HEALTHCHECK in an image without curl. It imports no Django, because it runs every few seconds.
"""

from __future__ import annotations

import http.client
import os
import sys

TIMEOUT = 4  # seconds
_ANY = {"0.0.0.0": "127.0.0.1", "*": "127.0.0.1", "[::]": "::1"}


def main(arguments: list[str]) -> int:
    """Print the response to the path, or why there is none; return the exit code."""
    host, _, port = os.environ.get("SIM_BIND", "127.0.0.1:8000").split()[0].rpartition(":")
    address = _ANY.get(host, host.removeprefix("[").removesuffix("]"))
    connection = http.client.HTTPConnection(address, int(port), timeout=TIMEOUT)
    try:
        connection.request("GET", arguments[0])
        response = connection.getresponse()
        sys.stdout.write(f"{response.status} {response.read(1000).decode(errors='replace')}\n")
    except (OSError, http.client.HTTPException) as error:
        sys.stdout.write(f"No response: {error}\n")
        return 1
    finally:
        connection.close()
    return 0 if response.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
