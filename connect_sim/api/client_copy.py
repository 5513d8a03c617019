"""The OpenAPI document as connect-openapi-client 35 reads it: what it uses, in the form it expects.

The client loads it once, with a slow YAML reader, and refuses locally what isn't in it. It knows
a path by its segments, a placeholder fitting anything, and `help()` takes each fixed segment below
a collection for a part of its objects: so a call on the collection itself, such as
`POST /usage/records/close-records`, stands beside the calls of `/usage/records/{id}`. It has no
words for an id behind a call, as in `POST /requests/{id}/assign/{user}`, and no singular of
`media`, by which it names an object: `help()` fails on both, so such a path is left out.
"""

from __future__ import annotations

from requests_queue.schema import Json

_USED = ("operationId", "summary", "description", "parameters")
_METHODS = ("get", "post", "put", "delete")
# Collections whose name the client's library of English has no singular of.
_NO_SINGULAR = ("media",)


def client_copy(document: Json) -> Json:
    """Return the copy of a document."""
    paths: dict[str, Json] = {}
    for path, methods in document["paths"].items():
        if is_left_out(path, document["paths"]):
            continue
        place = _place(path, document["paths"])
        for method, operation in methods.items():
            if method in _METHODS:
                paths.setdefault(place, {}).setdefault(method, _used(operation))
    return {
        "openapi": document["openapi"],
        "info": document["info"],
        "paths": paths,
        "components": {"parameters": document["components"]["parameters"]},
    }


def is_left_out(path: str, paths: Json) -> bool:
    """Return whether `help()` of the client fails on the path: an id behind a call, which only
    POST knows, or behind a name without a singular.
    """
    parent, _, last = path.rpartition("/")
    if not last.startswith("{"):
        return False
    is_behind_call = list(paths.get(parent, ())) == ["post"]
    return is_behind_call or parent.rpartition("/")[2] in _NO_SINGULAR


def _place(path: str, paths: Json) -> str:
    parent, _, last = path.rpartition("/")
    of_objects = f"{parent}/{{id}}"
    return path if last.startswith("{") or of_objects not in paths else of_objects


def _used(operation: Json) -> Json:
    found = {name: operation[name] for name in _USED if name in operation}
    query = [p for p in found.pop("parameters", ()) if p.get("in") != "path"]
    return {**found, "parameters": query} if query else found
