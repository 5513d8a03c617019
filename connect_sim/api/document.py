"""The OpenAPI document of the API, built by drf-spectacular from each view's `documented`.

Responses are built by plain functions, not by serializers: `ConnectSchema` (DRF's
DEFAULT_SCHEMA_CLASS) takes types from the views, filters from their RQL classes, and actions from
their queues.
"""

from __future__ import annotations

import re
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from requests_queue.api.fields import Input, List
from requests_queue.api.openapi import Components, OperationSchema
from requests_queue.api.schema import Answer, Documented, Error, Form, Json
from requests_queue.catalog.actors import SYSTEM
from requests_queue.catalog.rest import Collection
from requests_queue.queues.api import ASSIGNEE, QueueCollection
from requests_queue.queues.base import Queue

PREFIX = "/public/v1"
_VERBS = {
    "list": "List",
    "retrieve": "Show",
    "create": "Create",
    "update": "Change",
    "destroy": "Delete",
}
_ERRORS = {
    400: "Invalid body, query or action; see `errors`.",
    401: "The API key is missing or invalid.",
    403: "The caller does not have permission, or its key has none for the module of the path.",
    404: "The object does not exist or is not visible to the caller's account.",
    409: "The request exists already, or a concurrent request was faster.",
    413: "The body is too large.",
}


def only_documented(endpoints: list[Any], **kwargs: Any) -> list[Any]:
    """Restrict the document to Connect's API (drf-spectacular's preprocessing hook)."""
    return [
        row
        for row in endpoints
        if row[0].startswith(f"{PREFIX}/") and issubclass(row[3].cls, Collection)
    ]


def paging_by_reference(result: Json, **kwargs: Any) -> Json:
    """Define `limit` and `offset` once: clients recognize paged lists by the reference."""
    components = result.setdefault("components", {})
    components["parameters"] = {
        "limit": _query("limit", "Number of objects: 100 by default, at most 1,000.", "integer"),
        "offset": _query("offset", "Number of objects to skip.", "integer"),
    }
    for parameter in components["parameters"].values():
        parameter["schema"]["minimum"] = 0
    return result


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Our authentication for drf-spectacular."""

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


class ConnectSchema(OperationSchema):
    """One operation of the document."""

    # `only_documented` leaves no other views.
    view: Collection  # type: ignore[override]

    @property
    def info(self) -> Documented:
        """Return the documentation of the view, by default with the queue's title."""
        if self.view.documented is not None:
            return self.view.documented
        title = self.view.queue.title if isinstance(self.view, QueueCollection) else "Other"
        return Documented(title, title.lower().removesuffix("s"))

    @property
    def call(self) -> str:
        """Return the name of the view's method or of the queue's action."""
        name: str = self.view.action
        return self.path.rpartition("/")[2] if name == "act" else name

    @property
    def is_list(self) -> bool:
        """Return whether the operation returns a page of objects."""
        return self.call == "list" or self.call in self.view.lists

    def get_tags(self) -> list[str]:
        return [self.info.tag]

    def get_summary(self) -> str:
        """Return a verb and the kind of object."""
        one = self.info.one
        if self.call == "list":
            return f"List {_many(one)}"
        if verb := _VERBS.get(self.call):
            return f"{verb} {_a(one)}"
        return f"{self.call.replace('_', ' ').replace('-', ' ').capitalize()}: {one}"

    def get_description(self) -> str:  # type: ignore[override]
        """Return the docstring of the view's method, or the transitions of an action."""
        if self.view.action == "act" and isinstance(self.view, QueueCollection):
            return self._transitions(self.view.queue)
        method = getattr(self.view, self.view.action)
        return " ".join((method.__doc__ or "").split())

    def _transitions(self, queue: Queue) -> str:
        lines = [
            f"From {_either(one.source)} to {one.target}, by the {_either(one.actors - {SYSTEM})}."
            for one in queue.by_name[self.call]
            if one.actors - {SYSTEM}
        ]
        return " ".join(lines)

    def get_operation_id(self) -> str:
        """Return `<objects>_<list|detail|action>_<verb>`: clients parse the middle part."""
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
        words = [*re.split(r"[_-]", self.call), *self.info.one.split()]
        if self.call not in _VERBS:
            words.insert(0, self.method.lower())
        return words[0] + "".join(word.capitalize() for word in words[1:])

    def parameters(self) -> list[Json]:
        """Return the parameters in the path and in the query."""
        parameters = [
            {
                "in": "path",
                "name": name,
                "required": True,
                "schema": {"type": "string"},
                "description": f"Identifier of the {name.removesuffix('_id')}."
                if name != "id"
                else f"Identifier of the {self.info.one}.",
            }
            for name in re.findall(r"\{(\w+)\}", self.path)
        ]
        if self.is_list:
            names = ("limit", "offset")
            parameters += [{"$ref": f"#/components/parameters/{name}"} for name in names]
        if self.call == "list":
            parameters += self._filters()
        queries = self.info.queries.get(self.call, {})
        return parameters + [_query(name, meaning) for name, meaning in queries.items()]

    def _filters(self) -> list[Json]:
        rows = getattr(getattr(self.view, "rql_filter_class", None), "FILTERS", ())
        compared = [row for row in rows if not row.get("dynamic") or row.get("source")]
        filters = [
            _query(row["filter"], f"Only objects of this `{row['filter']}`; any comparison by RQL.")
            for row in compared
        ]
        if any(row.get("search") for row in compared):
            filters.append(_query("search", "Only objects with this text in a searched field."))
        if compared:
            filters.append(_query("ordering", "Field names; `-` before one reverses its order."))
        return filters

    def request_body(self) -> Json | None:
        """Return the request body; None if there is none."""
        body = self._body()
        if body is None or self.method not in ("POST", "PUT"):
            return None
        return self.form_body(body) if isinstance(body, Form) else self.json_body(body)

    def _body(self) -> Input | List | Form | None:
        if self.call == "assign":
            return ASSIGNEE
        if self.view.action == "act" and isinstance(self.view, QueueCollection):
            return self.view.queue.by_name[self.call][0].body
        return self.view.bodies.get(self.call)

    def responses(self) -> Json:
        """Return the success and the errors of the operation."""
        components = Components(self.registry)
        answer = self._answer()
        responses: Json = {str(answer.status): self._success(answer, components)}
        error = {"application/json": {"schema": components.schema(Error)}}
        for status in self._errors():
            responses[str(status)] = {"content": error, "description": _ERRORS[status]}
        return responses

    def _answer(self) -> Answer:
        if answer := self.info.answers.get(self.call):
            return answer
        if self.call == "destroy" or self.call in getattr(self.view, "without_answer", ()):
            return Answer(204)
        if self.call == "list":
            return Answer(200, list[self.info.listed or self.info.shown])  # type: ignore[misc]
        return Answer(201 if self.call == "create" else 200, self.info.shown)

    def _success(self, answer: Answer, components: Components) -> Json:
        response: Json = {"description": "No content." if answer.shown is None else "Success."}
        if answer.shown is not None:
            schema = components.schema(answer.shown)
            file = {"type": "string", "format": "binary"}
            response["content"] = {
                **{kind: {"schema": schema} for kind in answer.media_types},
                **{kind: {"schema": file} for kind in answer.files},
            }
        if self.is_list:
            response["headers"] = {
                "Content-Range": {
                    "description": "The range of the page: `items <first>-<last>/<total>`.",
                    "schema": {"type": "string", "pattern": r"^items \d+-\d+/\d+$"},
                }
            }
        return response

    def _errors(self) -> list[int]:
        statuses = [400, 401, 403]
        # A body may refer to missing objects.
        if "{" in self.path or self.method == "POST":
            statuses.append(404)
        if self.method in ("POST", "PUT", "DELETE"):
            statuses += [409, 413]
        return statuses


def _query(name: str, description: str, kind: str = "string") -> Json:
    return {"in": "query", "name": name, "description": description, "schema": {"type": kind}}


def _a(one: str) -> str:
    return f"{'an' if one[0] in 'aeiou' and not one.startswith('us') else 'a'} {one}"


def _many(one: str) -> str:
    name, of, whole = one.partition(" of ")
    return f"{name[:-1]}ies{of}{whole}" if name.endswith("ry") else f"{name}s{of}{whole}"


def _either(words: frozenset[str]) -> str:
    return " or ".join(sorted(words))
