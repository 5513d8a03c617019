"""A key without a path's module gets 403 there, before anything of the request is looked at."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from connect_sim.api import auth
from requests_queue.catalog import keys
from requests_queue.catalog.models import ApiToken
from requests_queue.catalog.modules import ALL, MODULES, find_module
from requests_queue.errors import Invalid
from tests import make
from tests.api import Caller, refused
from tests.contract import routes

pytestmark = pytest.mark.django_db
KEY = "SU-777-000-001:the-secret-of-a-key"
# Served without a key.
PUBLIC = {"/docs", "/schema"}


@pytest.fixture
def catalog() -> make.Catalog:
    catalog = make.catalog("7")
    keys.store(catalog.vendor, KEY, "Extension")
    return catalog


def error(module: str) -> str:
    return (
        f"The API key has no permission for the module {module}. Give it to the key, or use "
        "another one."
    )


def test_every_served_path_belongs_to_a_module() -> None:
    """A new one needs a row in `requests_queue/catalog/modules.py`."""
    assert {path for path, _ in routes.views() if find_module(path) is None} == PUBLIC


@pytest.mark.parametrize("module", MODULES)
def test_key_calls_the_paths_of_its_modules_only(catalog: make.Catalog, module: str) -> None:
    caller = Caller(KEY)
    for method, path in sorted(routes.operations()):
        if find_module(path) == module:
            full = path.replace("{}", "X")
            ApiToken.objects.update(modules=[each for each in MODULES if each != module])
            refused(caller.call(method, full, "{"), 403, error(module))
            ApiToken.objects.update(modules=[module])
            assert error(module) not in repr(caller.call(method, full)), (method, path)


def test_keys_have_all_modules_by_default(catalog: make.Catalog) -> None:
    assert ApiToken.objects.get().modules == [ALL]


@pytest.mark.parametrize("modules", [(), ("Nonsense",), ("usage",), (ALL, "Usage"), "Usage"])
def test_key_is_not_stored_with_other_modules(catalog: make.Catalog, modules: Any) -> None:
    with pytest.raises(Invalid, match="Choose all modules"):
        keys.store(catalog.vendor, KEY, "Extension", modules=modules)
    assert ApiToken.objects.get().modules == [ALL]


def test_paths_without_a_module_need_none(catalog: make.Catalog) -> None:
    ApiToken.objects.update(modules=["Usage"])
    caller = Caller(KEY)
    assert caller.get("/sandbox/clock").status == 200
    refused(caller.get("/nothing"), 404)


def test_refusal_reads_nothing_but_the_key(catalog: make.Catalog) -> None:
    ApiToken.objects.update(modules=["Usage"])
    with CaptureQueriesContext(connection) as statements:
        refused(Caller(KEY).get("/requests"), 403, error("Subscriptions"))
    # The clock is read for the entry of the call in the timeline.
    read = [each["sql"] for each in statements if "requests_queue_clock" not in each["sql"]]
    assert len(read) == 1 and "catalog_apitoken" in read[0]


def test_change_of_modules_counts_from_the_next_request_on(
    catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(path: str) -> str | None:
        ApiToken.objects.update(modules=["Usage"])
        return find_module(path)

    monkeypatch.setattr(auth, "find_module", find)
    assert Caller(KEY).get("/accounts").status == 200
    refused(Caller(KEY).get("/accounts"), 403, error("Account"))
