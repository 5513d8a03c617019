"""The sheets General Information, Capabilities and Embedding Static Resources: the product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from requests_queue import ids
from requests_queue.api.json_paths import value_at
from requests_queue.catalog import categories
from requests_queue.catalog.models import Product
from requests_queue.catalog.representations import icon, translations
from requests_queue.catalog.representations.products import capabilities
from requests_queue.catalog.workbooks import sheets
from requests_queue.catalog.workbooks.reading import Row
from requests_queue.catalog.workbooks.session import Session, as_text
from requests_queue.catalog.workbooks.sheets import Cells
from requests_queue.catalog.writes import capabilities as capability_writes
from requests_queue.catalog.writes import products
from requests_queue.db.rows import set_columns

# By label, the path in a body of the API.
_PATHS = {
    "Product Name": "name",
    "Product Short Description": "short_description",
    "Product Detailed Description": "detailed_description",
    "Embedding description": "customer_ui_settings.description",
    "Embedding getting started": "customer_ui_settings.getting_started",
}
_COLUMNS = {path: label for label, path in _PATHS.items()} | {"": "Product ID"}
_LINK = {"": "Type", "title": "Title", "url": "Url"}
_LINKS = {"Download": "download_links", "Documentation": "documents"}

# Of the primary translation.
LOCALE = "{id} ({name})".format(**translations.LOCALE)

ENABLED, DISABLED = "Enabled", "Disabled"
SCHEMA, LEVEL = "Pay-as-you-go support and schema", "Reseller Authorization Level"
# Capabilities by their labels, as paths in `product.capabilities`; a switch but for these two.
_CAPABILITIES = {
    SCHEMA: "ppu.schema",
    "Pay-as-you-go dynamic items support": "ppu.dynamic",
    "Pay-as-you-go future charges support": "ppu.future",
    "Pay-as-you-go late charges support": "ppu.late",
    "Consumption reporting for Reservation Items": "reservation.consumption",
    "Dynamic Validation of the Draft Requests": "cart.validation",
    "Dynamic Validation of the Inquiring Form": "inquiring.validation",
    LEVEL: "tiers.configs.level",
    "Tier Accounts Sync": "tiers.updates",
    "Administrative Hold": "subscription.hold",
    "Dynamic Validation of Tier Requests": "tiers.validation",
    "Editable Ordering Parameters in Change Request": (
        "subscription.change.editable_ordering_parameters"
    ),
    "Validation of Draft Change Request": "subscription.change.validation",
    "Validation of inquiring form for Change Requests": "subscription.change.inquiring_validation",
}
_SCHEMAS = ("QT", "TR", "PR", "CR")


def shown(product: Product, at: str) -> Cells:
    """Return the labeled values of a product; `at` is the time of the export."""
    settings = product.customer_ui_settings
    return {
        "Account ID": product.owner_id,
        "Account Name": product.owner.name,
        "Product ID": product.pk,
        "Product Name": product.name,
        "Export datetime": at,
        "Product Category": product.category.get("name", ""),
        "Product Icon file name": icon_name(product),
        "Product Short Description": product.short_description,
        "Product Detailed Description": product.detailed_description,
        "Embedding description": settings.get("description", ""),
        "Embedding getting started": settings.get("getting_started", ""),
        "Primary Translation Locale": LOCALE,
    }


def icon_name(product: Product) -> str:
    """Return the name of the file of a product's icon."""
    return f"{product.pk}.{icon(product).rpartition('.')[2]}"


def shown_capabilities(product: Product) -> list[Cells]:
    """Return the rows of a product's capabilities."""
    found = capabilities(product.capabilities)
    return [
        {"Capability": label, "Action": sheets.NONE, "Value": _capability(label, found, path)}
        for label, path in _CAPABILITIES.items()
    ]


def _capability(label: str, found: Mapping[str, Any], path: str) -> object:
    value = value_at(found, path.split("."))
    if label in (SCHEMA, LEVEL):
        return value or DISABLED
    return ENABLED if value else DISABLED


def shown_links(product: Product) -> list[Cells]:
    """Return the rows of a product's links."""
    return [
        {"Type": kind, "Title": link["title"], "Action": sheets.NONE, "Url": link["url"]}
        for kind, key in _LINKS.items()
        for link in product.customer_ui_settings.get(key, ())
    ]


def load(session: Session, row: Row) -> None:
    """Set what the first sheet says of the product."""
    product = session.product
    before = shown(product, "")
    body: dict[str, Any] = {}
    with session.row(row, _COLUMNS):
        for label, path in _PATHS.items():
            parent, _, key = path.rpartition(".")
            (body.setdefault(parent, {}) if parent else body)[key] = row.text(label)
        values = products.ProductUpdate(partial=True).check(body)
        settings = product.customer_ui_settings | values.pop("customer_ui_settings", {})
        set_columns(product, values | {"customer_ui_settings": settings})
        category = row.text("Product Category").strip()
        if as_text(category) != as_text(before["Product Category"]):
            product.category = _category(product, row, category)
    after = shown(product, "")
    changed = [label for label in after if after[label] != before[label]]
    session.updated(sheets.GENERAL, product.pk, changed)


def _category(product: Product, row: Row, name: str) -> dict[str, str]:
    """Return the category of this name, a new one where it is unknown; raises CellError."""
    if not name:
        return {}
    if len(name) > 128:
        raise row.error("Product Category", "Ensure this field has no more than 128 characters.")
    known = {each["name"]: each["id"] for each in categories.known(product.owner)}
    return {"id": known.get(name) or ids.draw("CAT-ddddd"), "name": name}


def load_capabilities(session: Session, rows: Sequence[Row]) -> None:
    """Switch the capabilities whose rows differ from the product's."""
    before = {
        str(cells["Capability"]): cells["Value"] for cells in shown_capabilities(session.product)
    }
    values = {}
    for row in rows:
        columns = {"": "Value"}
        with session.row(row, columns):
            label = row.text("Capability").strip()
            if label not in _CAPABILITIES:
                session.skip(f'capability "{label[:60]}"')
                continue
            values[label] = _checked(row, label)
    session.check()
    changed = [label for label, value in values.items() if value != str(before[label])]
    for label in changed:
        part = _part(label, values[label], values.get(SCHEMA, str(before[SCHEMA])))
        checked = capability_writes.Capabilities().to_internal_value(part)
        product = session.product
        product.capabilities = capability_writes.merge(product.capabilities, checked)
    after = {
        str(cells["Capability"]): cells["Value"] for cells in shown_capabilities(session.product)
    }
    for label in (label for label in changed if after[label] != before[label]):
        session.updated(sheets.CAPABILITIES, label, ["Value"])
    for row in rows:
        label = row.text("Capability").strip()
        if label in values and values[label] != str(after[label]):
            session.errors.append(str(row.error("Value", f"This requires {SCHEMA}.")))


def _checked(row: Row, label: str) -> str:
    """Return the value of a capability; raises CellError."""
    words = {SCHEMA: (DISABLED, *_SCHEMAS), LEVEL: (DISABLED, "1", "2")}
    allowed = words.get(label, (ENABLED, DISABLED))
    value = row.text("Value").strip()
    if value not in allowed:
        raise row.error("Value", f"One of {', '.join(allowed)} is required.")
    return value


def _part(label: str, value: str, schema: str) -> dict[str, Any]:
    """Return the part of the tree of capabilities that a row changes."""
    if label == SCHEMA:
        return {"ppu": {"ppu": False} if value == DISABLED else {"ppu": True, "schema": value}}
    if label == LEVEL:
        configs = {"configs": False} if value == DISABLED else {"configs": True, "level": value}
        return {"tiers": {"configs": configs}}
    path = _CAPABILITIES[label].split(".")
    if path[0] == "ppu" and schema == DISABLED:
        return {}
    part: Any = value == ENABLED
    for key in reversed(path):
        part = {key: part}
    found: dict[str, Any] = part
    return found


def load_links(session: Session, rows: Sequence[Row]) -> None:
    """Replace the product's links; a link that stays is for whom it was."""
    product = session.product
    old = product.customer_ui_settings
    audience = {(link["title"], link["url"]): link for link in old.get("download_links", ())}
    new: dict[str, list[Any]] = {key: [] for key in _LINKS.values()}
    for row in rows:
        with session.row(row, _LINK):
            key = _LINKS.get(row.text("Type").strip())
            if key is None:
                raise row.error("Type", f"One of {', '.join(_LINKS)} is required.")
            body = {"title": row.text("Title"), "url": row.text("Url").strip()}
            serializer = (
                products.DownloadLinkInput()
                if key == "download_links"
                else (products.DocumentLinkInput())
            )
            link = serializer.check(body)
            if key == "download_links":
                link = audience.get((link["title"], link["url"]), link)
            new[key].append(link)
    before = shown_links(product)
    product.customer_ui_settings = old | new
    if shown_links(product) != before:
        session.updated(sheets.LINKS, product.pk, ["Type", "Title", "Url"])
