"""`use_specs=True`: the client knows all operations of the sandbox, and has help for each."""

import contextlib
import io
import os
import re

from common import VENDOR_KEY, client, hand_over, refused

connect = client(VENDOR_KEY, use_specs=True, specs_location=os.environ["SPECS"])
specs = connect.specs
NAMESPACES = set(specs.get_namespaces())
OPERATIONS = [line.split(" ") for line in os.environ["OPERATIONS"].splitlines()]


def helped(thing):
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        thing.help()
    return re.sub(r"\x1b\[[0-9;]*m", "", output.getvalue())


def node(path):
    """Return the client's object of a path, and the path with ids in it."""
    current, at, parts = connect, "", path.strip("/").split("/")
    for number, part in enumerate(parts):
        at = f"{at}/{part}"
        if part.startswith("{"):
            current = current["XX-000"]
        elif (
            number == 0 and part in specs.get_namespaces() and f"{at}" not in specs._specs["paths"]
        ):
            current = connect.ns(part)
        elif number > 0 and parts[number - 1].startswith("{") and f"{at}/" not in path:
            operation = next(iter(specs._specs["paths"][path].values()))["operationId"]
            current = (
                current.action(part) if specs._is_action(operation) else current.collection(part)
            )
        else:
            current = current.collection(part)
    return current


unknown = [
    f"{method} {path}"
    for method, path in OPERATIONS
    if not specs.exists(method, re.sub(r"\{\w+\}", "XX-000", path).strip("/"))
]
helps = {path: helped(node(path)) for path in specs._specs["paths"]}
namespaces = {name: helped(connect.ns(name)) for name in specs.get_namespaces()}
search = helped(connect.requests.filter(status="pending"))
lists = {
    path: len(list(node(path).all()))
    for path, methods in specs._specs["paths"].items()
    if "{" not in path and "get" in methods
}
pending = connect.requests.filter(status="pending").first()
assigned = connect.requests[pending["id"]]("assign").post({"email": os.environ["EMAIL"]})

hand_over(
    unknown=unknown,
    helps=helps,
    namespaces=namespaces,
    whole=helped(connect),
    search=search,
    lists=lists,
    assignee=assigned["assignee"]["email"],
    missing=refused(lambda: connect.collection("nothing").all().first()),
)
