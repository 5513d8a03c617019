"""Secret fields of webhooks are no filters, and no error of a query repeats a value of it."""

from __future__ import annotations

import pytest

from tests import make
from tests.api import caller

pytestmark = pytest.mark.django_db
OPERATORS = ("eq", "ne", "gt", "le", "like", "ilike")


@pytest.mark.parametrize("name", ["jwt_secret", "headers"])
@pytest.mark.parametrize(
    "query",
    [
        *(f"{each}({{}},SECRET)" for each in OPERATORS), "in({},(SECRET,b))", "{}=SECRET",
        "{}=eq=SECRET", "out({},(SECRET))", "{}__in=SECRET,b", "{}__contains=SECRET", "{}.a=SECRET",
        "range({},SECRET,b)", "not(eq({},SECRET))", "eq({},null())", "ordering({})",
        "{}__iregex=SECRET",
    ],
)  # fmt: skip
def test_secret_fields_are_no_filters_and_errors_repeat_no_value(name: str, query: str) -> None:
    catalog = make.catalog()
    make.webhook(catalog, jwt_secret="canary-secret", headers={"a": "canary-secret"})
    query = query.format(name).replace("SECRET", "canary-secret")
    response = caller(catalog.vendor).get(f"/notifications/webhooks?{query}")
    assert response.status == 400 and response.json["error_code"] == "VAL_001", response
    assert "canary" not in str(response.json) and name in str(response.json)


@pytest.mark.parametrize(
    "query",
    [
        "eq(created_at,canary)", "in(active,(true,canary))", "eq(stats,canary)", "active=canary",
        "like(created_at,canary)", "gt(last_success,canary)", "offset(canary)",
        "eq(id,'canary", "ne(search,canary)",
    ],
)  # fmt: skip
def test_error_of_any_query_repeats_no_value(query: str) -> None:
    response = caller(make.catalog().vendor).get(f"/notifications/webhooks?{query}")
    assert response.status == 400, response
    assert "canary" not in str(response.json)
