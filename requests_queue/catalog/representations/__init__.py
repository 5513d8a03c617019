"""The JSON of the catalog's objects in the API; here what objects refer to each other by."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.utils.crypto import salted_hmac

from requests_queue.api.resources import Field, Part

# One sandbox is one database; the document demands its region.
REGION = "EU"


def icon(row: Any) -> str:
    """Return the path of an object's picture, as Connect has it: relative to the host."""
    model = str(row._meta.model_name)
    return f"/media/{model}/{row.pk}/{icon_key(model, str(row.pk))}/icon.svg"


@lru_cache(maxsize=4096)
def icon_key(model: str, pk: str) -> str:
    """Return the secret part of a picture's path, which cannot be guessed.

    Browsers and reports fetch pictures without an API key; only callers that see the object get the
    path.
    """
    return salted_hmac("catalog.icon", f"{model}/{pk}").hexdigest()[:16]


PICTURED = Part(
    "Pictured",
    "A reference to an object that has a picture; its path is relative to the host.",
    {"id": str, "name": str, "icon": Field(str, icon)},
)
PRODUCT_REFERENCE = Part(
    "ProductReference",
    "A product, as orders name it.",
    {"id": str, "name": str, "icon": Field(str, icon), "status": str},
)
PERSON = Part(
    "Person",
    "A user.",
    {"id": Field(str, "uid"), "name": Field(str, unfiltered=True), "email": str},
    named=("id",),
)
