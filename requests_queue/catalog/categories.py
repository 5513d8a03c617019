"""Categories of products. They are no objects: a product has the id and the name of its own."""

from __future__ import annotations

from requests_queue.api.schema import Json
from requests_queue.catalog import visibility
from requests_queue.catalog.models import Account

# Connect's categories, as connect-cli captured them, and those of the demo data. All are below one.
_PLACE: Json = {
    "parent": {"id": "CAT-75105", "name": "Cloud Services"},
    "children": [],
    "family": {"id": "FAM-000", "name": "Root Family"},
}
_KNOWN = {
    "Analytics": "CAT-00119",
    "Backup & Recovery": "CAT-00104",
    "Backup and Disaster Recovery": "CAT-67642",
    "Communication and Collaboration": "CAT-95793",
    "Customer Management": "CAT-07415",
    "Digital Marketing": "CAT-71994",
    "Finance": "CAT-55878",
    "Human Resources": "CAT-37312",
    "IT Management": "CAT-06160",
    "Infrastructure": "CAT-40123",
    "Marketing": "CAT-59128",
    "Office Productivity": "CAT-57124",
    "Sales": "CAT-58673",
    "Security": "CAT-00131",
}


def known(account: Account) -> list[Json]:
    """Return the categories by name: Connect's, and those of the products that an account sees."""
    rows = visibility.products(account).exclude(category={}).order_by("pk")
    own = {
        row["name"]: row["id"]
        for row in rows.values_list("category", flat=True)
        if isinstance(row.get("id"), str) and isinstance(row.get("name"), str)
    }
    return [{"id": pk, "name": name, **_PLACE} for name, pk in sorted((_KNOWN | own).items())]
