"""The field of a model for JSON, which reads its column with msgspec."""

from __future__ import annotations

import json
from typing import Any

from django.db import models

from requests_queue import fast_json


class JSONField(models.JSONField):
    """Django's JSONField; a list reads a dozen of its values per row."""

    def deconstruct(self) -> Any:
        """Return Django's field, so that migrations don't depend on how it is read."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Return the value of the column, or the text where it is not JSON."""
        if not isinstance(value, str):
            # NULL, or what SQLite has extracted.
            return super().from_db_value(value, expression, connection)
        try:
            return fast_json.decode_column(value)
        except json.JSONDecodeError:
            return value
