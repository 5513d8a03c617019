"""JSON columns are read as by Django's own field."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.db import connection, models
from django.db.models.fields.json import KeyTransform

from requests_queue.json_column import JSONField

STORED = [
    '{"b": [1, -0.0, 1e-7, null, true], "a": "\\u00e9\\u2028"}',
    "[[], {}, 123456789012345678901234567890]",
    '"\\ud800"',
    "[NaN, -Infinity, 1e400]",
    "not JSON",
    "",
    None,
]


@pytest.mark.parametrize("stored", STORED)
def test_column_is_read_as_by_django(stored: Any) -> None:
    read = JSONField().from_db_value(stored, None, connection)
    assert repr(read) == repr(models.JSONField().from_db_value(stored, None, connection))


@pytest.mark.parametrize("extracted", [7, 2.5, '"text"', None])
def test_value_that_the_database_has_extracted_is_read_as_by_django(extracted: Any) -> None:
    key = KeyTransform("key", "column")
    read = JSONField().from_db_value(extracted, key, connection)
    assert repr(read) == repr(models.JSONField().from_db_value(extracted, key, connection))


def test_all_json_columns_are_read_with_msgspec() -> None:
    fields = [field for model in apps.get_models() for field in model._meta.get_fields()]
    columns = [field for field in fields if isinstance(field, models.JSONField)]
    ours = [field for field in columns if not field.model.__module__.startswith("django")]
    assert len(ours) > 30
    assert [str(field) for field in ours if not isinstance(field, JSONField)] == []
