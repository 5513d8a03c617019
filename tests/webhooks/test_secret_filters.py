"""Secret fields of webhooks are no filters, and no error of a query repeats a value of it."""

from __future__ import annotations

import pytest

from tests import make
from tests.api import caller

pytestmark = pytest.mark.django_db
OPERATORS = ("eq", "ne", "gt", "le", "like", "ilike")


def test_secret_fields_are_no_filters_and_errors_repeat_no_value(catalog: make.Catalog) -> None:
    make.webhook(catalog, jwt_secret="canary-secret", headers={"a": "canary-secret"})
    vendor = caller(catalog.vendor)
    for form in [
        *(f"{each}({{}},SECRET)" for each in OPERATORS), "in({},(SECRET,b))", "{}=SECRET",
        "{}=eq=SECRET", "out({},(SECRET))", "{}__in=SECRET,b", "{}__contains=SECRET", "{}.a=SECRET",
        "range({},SECRET,b)", "not(eq({},SECRET))", "eq({},null())", "ordering({})",
        "{}__iregex=SECRET",
    ]:  # fmt: skip
        for name in ("jwt_secret", "headers"):
            query = form.format(name).replace("SECRET", "canary-secret")
            response = vendor.get(f"/notifications/webhooks?{query}")
            assert response.status == 400 and response.json["error_code"] == "VAL_001", response
            assert "canary" not in str(response.json) and name in str(response.json)


def test_error_of_any_query_repeats_no_value() -> None:
    vendor = caller(make.catalog().vendor)
    for query in [
        "eq(created_at,canary)", "in(active,(true,canary))", "eq(stats,canary)", "active=canary",
        "like(created_at,canary)", "gt(last_success,canary)", "offset(canary)",
        "eq(id,'canary", "ne(search,canary)",
    ]:  # fmt: skip
        response = vendor.get(f"/notifications/webhooks?{query}")
        assert response.status == 400, response
        assert "canary" not in str(response.json)
