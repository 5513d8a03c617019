"""Fixtures of tests that call the sandbox's API on the smallest platform, with commits.

Every answer is compared with the OpenAPI document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from sandbox.api import schema
from tests import make
from tests.api import Caller, Response, caller
from tests.contract.document import Document, described
from tests.handlers import Handler, handler
from webhooks.models import Webhook


class SandboxDocument(Document):
    """The document of `/sandbox/…`, whose moments have milliseconds."""

    def _errors(self, schema: Any, body: Any) -> Any:
        whole = {**schema, "$defs": self._definitions}
        for error in Draft202012Validator(whole).iter_errors(body):
            yield from described(error)


class CheckedCaller(Caller):
    """A client that fails the test if an answer is not as the document says."""

    def call(self, method: str, path: str, *arguments: Any, **options: Any) -> Response:
        response = super().call(method, path, *arguments, **options)
        if path.startswith("/sandbox/"):
            template = template_of(method, path.partition("?")[0])
            findings = checked_document().findings(method, template, response.status, response.json)
            assert not list(findings), (method, path, response)
        return response


@cache
def checked_document() -> SandboxDocument:
    """Return the document of `/sandbox/…`, as every answer is compared with it."""
    return SandboxDocument(schema.document())


def template_of(method: str, path: str) -> str:
    """Return the path of the document that a path is an example of; `{}` is any segment."""
    for known, template in checked_document().operations:
        if known == method and re.fullmatch(template.replace("{}", "[^/]+"), path):
            return template
    return path


@pytest.fixture
def catalog(transactional_db: None) -> make.Catalog:
    """A vendor, a distributor and a product."""
    return make.catalog()


@pytest.fixture
def client(catalog: make.Catalog) -> Caller:
    """The vendor's client."""
    return CheckedCaller(caller(catalog.vendor).key)


@pytest.fixture
def served() -> Iterator[Handler]:
    """A handler."""
    with handler() as served:
        yield served


@pytest.fixture
def hook(catalog: make.Catalog, served: Handler) -> Webhook:
    """A webhook of the vendor, for the handler."""
    return make.webhook(catalog, served.url)
