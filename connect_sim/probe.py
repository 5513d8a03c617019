"""`python -m connect_sim.probe /readyz`: exit with 0 if this machine's server answers with 200.

`python -m connect_sim.probe worker`: exit with 0 if a worker of this machine, or container, has a
recent heartbeat without a problem in the database, which must be PostgreSQL. `beat`: if the
scheduler has one, which the worker that runs its task records; without workers it has none.

For HEALTHCHECK in an image without curl. It imports no Django, because it runs every few seconds.
"""

from __future__ import annotations

import http.client
import os
import socket
import sys

TIMEOUT = 4  # seconds
_ANY = {"0.0.0.0": "127.0.0.1", "*": "127.0.0.1", "[::]": "::1"}


# As `requests_queue.heartbeats` stores them: Unix seconds by the database's clock.
_HEARTBEATS = """
    SELECT problem FROM requests_queue_heartbeat
    WHERE starts_with(process, %s) AND at > EXTRACT(EPOCH FROM clock_timestamp()) - 20
    ORDER BY problem LIMIT 1
"""


def main(arguments: list[str]) -> int:
    """Check a path of the web server, or a heartbeat; return the exit code."""
    if arguments[0] == "worker":
        return _check_heartbeat(f"worker {socket.gethostname()[:64]}:", "No worker has reported")
    if arguments[0] == "beat":
        return _check_heartbeat("scheduler", "No task of the scheduler has run")
    return _check_web(arguments[0])


def _check_heartbeat(process: str, missing: str) -> int:
    """Print the state of a heartbeat, or why it cannot be read."""
    import psycopg

    try:
        with psycopg.connect(os.environ.get("DATABASE_URL", ""), connect_timeout=TIMEOUT) as db:
            row = db.execute(_HEARTBEATS, [process]).fetchone()
    except psycopg.Error as error:
        sys.stdout.write(f"The database cannot be read: {type(error).__name__}\n")
        return 1
    if row is None:
        sys.stdout.write(f"{missing} within 20 s.\n")
        return 1
    sys.stdout.write(f"{row[0] or 'ok'}\n")
    return 1 if row[0] else 0


def _check_web(path: str) -> int:
    """Print the response to the path, or why there is none."""
    host, _, port = os.environ.get("SIM_BIND", "127.0.0.1:8000").split()[0].rpartition(":")
    address = _ANY.get(host, host.removeprefix("[").removesuffix("]"))
    connection = http.client.HTTPConnection(address, int(port), timeout=TIMEOUT)
    try:
        connection.request("GET", path)
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
