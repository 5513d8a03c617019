"""Hooks of schemathesis: half of the ids are those of existing objects.

Loaded by the `schemathesis` command (SCHEMATHESIS_HOOKS), never by pytest.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import schemathesis

# Ids by path, and by the key of a body that refers to them.
KNOWN: dict[str, dict[str, Any]] = json.loads(Path(os.environ["FUZZING_IDS"]).read_text())


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: Any) -> Any:
    values = KNOWN["paths"].get(context.operation.path, [])
    if not values or not path_parameters:
        return path_parameters
    number = sum(map(ord, repr(path_parameters)))
    if number % 4 == 0:
        return path_parameters
    return dict(zip(path_parameters, values[number % len(values)], strict=True))


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    return _with_ids(body) if isinstance(body, dict) else body


def _with_ids(body: dict[str, Any]) -> dict[str, Any]:
    result = {}
    for key, value in body.items():
        ids = KNOWN["bodies"].get(key)
        if ids and isinstance(value, str):
            value = ids[sum(map(ord, value)) % len(ids)]
        elif isinstance(value, dict):
            value = _with_ids(value)
            if ids and isinstance(value.get("id"), str):
                value["id"] = ids[len(repr(value)) % len(ids)]
        result[key] = value
    return result
