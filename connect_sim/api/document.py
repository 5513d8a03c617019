"""The OpenAPI document of what we serve, by drf-spectacular from each view's `documented`.

Rows become JSON through plain functions, so there are no serializers to read: `ConnectSchema`
(DRF's DEFAULT_SCHEMA_CLASS) takes types from the views, filters from their RQL classes, and moves
from their queues.
"""

from __future__ import annotations

import re
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from connect_sim.api.components import Components
from connect_sim.api.inputs import InputSchema
from requests_queue.catalog.actors import SYSTEM
from requests_queue.queues.api import QueueCollection
from requests_queue.queues.base import Queue
from requests_queue.rest import Collection
from requests_queue.schema import Answer, Assignee, Documented, Error, Form, Free, Json

PREFIX = "/public/v1"
_VERBS = {"list": "List", "retrieve": "Show", "create": "Create", "update": "Change",
          "destroy": "Delete"}  # fmt: skip
_ERRORS = {
    400: "The body, the query or the move is refused; `errors` says why.",
    401: "There is no valid API key.",
    403: "The caller may not do this.",
    404: "There is no such object for the caller's account.",
    409: "There is such a request already, or another call was faster.",
    413: "The body is too large.",
}


def only_documented(endpoints: list[Any], **kwargs: Any) -> list[Any]:
    """Leave the document to Connect's API (drf-spectacular's preprocessing hook)."""
    return [
        row
        for row in endpoints
        if row[0].startswith(f"{PREFIX}/") and issubclass(row[3].cls, Collection)
    ]


def paging_by_reference(result: Json, **kwargs: Any) -> Json:
    """Name `limit` and `offset` once: the published client knows paged lists by the reference."""
    components = result.setdefault("components", {})
    components["parameters"] = {
        "limit": _query("limit", "How many objects: 100 by default, at most 1,000.", "integer"),
        "offset": _query("offset", "How many objects to leave out first.", "integer"),
    }
    for parameter in components["parameters"].values():
        parameter["schema"]["minimum"] = 0
    return result


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How drf-spectacular knows our authentication."""

    target_class = "connect_sim.api.auth.ApiKeyAuthentication"
    name = "ApiKey"

    def get_security_definition(self, auto_schema: Any) -> Json:
        """Return the scheme: the whole header, `ApiKey SU-…:…`, is the key."""
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "The key as Connect shows it, the word `ApiKey` included: "
            "`ApiKey SU-123-456-789:0123456789abcdef`.",
        }


class ConnectSchema(InputSchema):
    """One operation of the document."""

    # `only_documented` leaves no other views.
    view: Collection  # type: ignore[override]

    @property
    def told(self) -> Documented:
        """What the view says of itself; of a queue that says nothing its title."""
        if self.view.documented is not None:
            return self.view.documented
        title = self.view.queue.title if isinstance(self.view, QueueCollection) else "Other"
        return Documented(title, title.lower().removesuffix("s"))

    @property
    def call(self) -> str:
        """The name of the view's method, or of the queue's move."""
        name: str = self.view.action
        return self.path.rpartition("/")[2] if name == "act" else name

    @property
    def is_list(self) -> bool:
        """Whether the call answers with a page of objects."""
        return self.call == "list" or self.call in self.view.lists

    def get_tags(self) -> list[str]:
        """Return the chapter."""
        return [self.told.tag]

    def get_summary(self) -> str:
        """Return a line: what the call does to what."""
        one = self.told.one
        if self.call == "list":
            return f"List {_many(one)}"
        if verb := _VERBS.get(self.call):
            return f"{verb} {_a(one)}"
        return f"{self.call.replace('_', ' ').replace('-', ' ').capitalize()}: {one}"

    def get_description(self) -> str:  # type: ignore[override]
        """Return what the view's method says, with who may make a move and from where."""
        if self.view.action == "act" and isinstance(self.view, QueueCollection):
            return self._of_move(self.view.queue)
        method = getattr(self.view, self.view.action)
        return " ".join((method.__doc__ or "").split())

    def _of_move(self, queue: Queue) -> str:
        lines = [
            f"From {_either(one.source)} to {one.target}, by the {_either(one.actors - {SYSTEM})}."
            for one in queue.by_name[self.call]
            if one.actors - {SYSTEM}
        ]
        return " ".join(lines)

    def get_operation_id(self) -> str:
        """Return `<objects>_<list|detail|call>_<verb>`: published clients read the middle."""
        path = self.path.removeprefix(PREFIX)
        words = [part for part in path.split("/") if part and not part.startswith("{")]
        detail = self.path.endswith("}")
        if not detail and self.path.count("{") and self.path.rpartition("/")[0].endswith("}"):
            kind = words.pop() if not self.is_list else "list"
        else:
            kind = "detail" if detail else "list"
        name = "_".join([*words, kind, self._verb()])
        return name.replace("-", "_")

    def _verb(self) -> str:
        known = self.call in _VERBS
        words = [*re.split(r"[_-]", self.call), *self.told.one.split()]
        if not known:
            words.insert(0, self.method.lower())
        return words[0] + "".join(word.capitalize() for word in words[1:])

    def _get_parameters(self) -> list[Json]:
        found = [
            {
                "in": "path",
                "name": name,
                "required": True,
                "schema": {"type": "string"},
                "description": f"Identifier of the {name.removesuffix('_id')}."
                if name != "id"
                else f"Identifier of the {self.told.one}.",
            }
            for name in re.findall(r"\{(\w+)\}", self.path)
        ]
        if self.is_list:
            found += [{"$ref": f"#/components/parameters/{name}"} for name in ("limit", "offset")]
        if self.call == "list":
            found += self._filters()
        told = self.told.queries.get(self.call, {})
        return found + [_query(name, meaning) for name, meaning in told.items()]

    def _filters(self) -> list[Json]:
        rows = getattr(getattr(self.view, "rql_filter_class", None), "FILTERS", ())
        compared = [row for row in rows if not row.get("dynamic") or row.get("source")]
        found = [
            _query(row["filter"], f"Only objects of this `{row['filter']}`; any comparison by RQL.")
            for row in compared
        ]
        if any(row.get("search") for row in compared):
            found.append(_query("search", "Only objects that have this text in a searched field."))
        if compared:
            found.append(_query("ordering", "Names of fields, `-` before one turns its order."))
        return found

    def _get_request_body(self, direction: str = "request") -> Json | None:
        if self.method not in ("POST", "PUT"):
            return None
        if body := self.view.bodies.get(self.call):
            return self.request_body(body, is_new=self.call == "create")
        wanted = self.told.bodies.get(self.call)
        if wanted is None and self.call == "assign":
            wanted = Assignee
        if isinstance(wanted, Form):
            types = {str: "string", int: "integer"}
            properties: Json = {name: {"type": types[kind]} for name, kind in wanted.plain.items()}
            properties[wanted.field] = {"type": "string", "format": "binary"}
            schema: Json = {"type": "object", "properties": properties}
            if self.call != "update":
                schema["required"] = [wanted.field]
            return {"content": {"multipart/form-data": {"schema": schema}}, "required": True}
        if wanted is None and self.call not in ("create", "update"):
            return None
        schema = Components(self.registry).schema(Free if wanted is None else wanted)
        required = bool(getattr(wanted, "__required_keys__", ())) or self.call == "create"
        return {"content": {"application/json": {"schema": schema}}, "required": required}

    def _get_response_bodies(self, direction: str = "response") -> Json:
        components = Components(self.registry)
        answer = self._answer()
        found: Json = {str(answer.status): self._success(answer, components)}
        error = {"application/json": {"schema": components.schema(Error)}}
        for status in self._errors():
            found[str(status)] = {"content": error, "description": _ERRORS[status]}
        return found

    def _answer(self) -> Answer:
        if answer := self.told.answers.get(self.call):
            return answer
        if self.call == "destroy":
            return Answer(204)
        if self.call in getattr(self.view, "without_answer", ()):
            return Answer(204)
        if self.call == "list":
            return Answer(200, list[self.told.listed or self.told.shown])  # type: ignore[misc]
        return Answer(201 if self.call == "create" else 200, self.told.shown)

    def _success(self, answer: Answer, components: Components) -> Json:
        found: Json = {"description": "Done." if answer.shown is None else "As asked for."}
        if answer.shown is not None:
            schema = components.schema(answer.shown)
            found["content"] = {kind: {"schema": schema} for kind in answer.media_types}
        if self.is_list:
            found["headers"] = {
                "Content-Range": {
                    "description": "Which of how many: `items <first>-<last>/<total>`.",
                    "schema": {"type": "string", "pattern": r"^items \d+-\d+/\d+$"},
                }
            }
        return found

    def _errors(self) -> list[int]:
        found = [400, 401, 403]
        # A body may name what isn't there, too.
        if "{" in self.path or self.method == "POST":
            found.append(404)
        if self.method in ("POST", "PUT", "DELETE"):
            found += [409, 413]
        return found


def _query(name: str, description: str, kind: str = "string") -> Json:
    return {"in": "query", "name": name, "description": description, "schema": {"type": kind}}


def _a(one: str) -> str:
    return f"{'an' if one[0] in 'aeiou' and not one.startswith('us') else 'a'} {one}"


def _many(one: str) -> str:
    name, of, whole = one.partition(" of ")
    return f"{name[:-1]}ies{of}{whole}" if name.endswith("ry") else f"{name}s{of}{whole}"


def _either(words: frozenset[str]) -> str:
    return " or ".join(sorted(words))
