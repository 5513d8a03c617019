"""connect-openapi-client with `use_specs=True`: it knows all operations, and has help for each."""

import contextlib
import io
import os
import re

from bodies import URL, VENDOR_KEY
from connect.client import ClientError, ConnectClient

Refused = ClientError
OPERATIONS = [line.split(" ") for line in os.environ["OPERATIONS"].splitlines()]
EMAIL = "maya.ortiz@nimbus.example.com"
connect = ConnectClient(
    VENDOR_KEY, endpoint=URL, use_specs=True, specs_location=os.environ["SPECS"]
)
specs = connect.specs
paths = specs._specs["paths"]


def described(error):
    return {"status": error.status_code, "error_code": error.error_code, "errors": [str(error)]}


def helped(thing):
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        thing.help()
    return re.sub(r"\x1b\[[0-9;]*m", "", output.getvalue())


def node(path):
    """Return the client's object of a path."""
    # Below an object, a collection is named by its whole path: `usage/aggregates`.
    first, *rest = re.split(r"/(?=\{)|(?<=\})/", path.strip("/"))
    current, at, parts = connect, "", [*first.split("/"), *rest]
    for number, part in enumerate(parts):
        at = f"{at}/{part}"
        if part.startswith("{"):
            current = current["XX-000"]
        elif number == 0 and part in specs.get_namespaces() and at not in paths:
            current = connect.ns(part)
        elif number > 0 and parts[number - 1].startswith("{") and f"{at}/" not in path:
            operation = next(iter(paths[path].values()))["operationId"]
            current = (
                current.action(part) if specs._is_action(operation) else current.collection(part)
            )
        else:
            current = current.collection(part)
    return current


def unknown():
    """Return the operations that the client doesn't know."""
    return [
        f"{method} {path}"
        for method, path in OPERATIONS
        if not specs.exists(method, re.sub(r"\{\w+\}", "XX-000", path).strip("/"))
    ]


def lists():
    """Return the length of each list."""
    return {
        path: len(list(node(path).all()))
        for path, methods in paths.items()
        if "{" not in path and "get" in methods
    }
