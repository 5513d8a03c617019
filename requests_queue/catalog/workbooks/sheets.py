"""Sheets and columns of the workbooks of `ccli product export` (connect-cli 41)."""

from __future__ import annotations

from datetime import datetime

from requests_queue.api.resources import format_datetime

GENERAL = "General Information"
CAPABILITIES = "Capabilities"
LINKS = "Embedding Static Resources"
MEDIA = "Media"
TEMPLATES = "Templates"
ITEMS = "Items"
PARAMETERS = {
    "ordering": "Ordering Parameters",
    "fulfillment": "Fulfillment Parameters",
    "configuration": "Configuration Parameters",
}
ACTIONS = "Actions"
CONFIGURATION = "Configuration"
TRANSLATIONS = "Translations"
MESSAGES = "Messages"

_PARAMETER = (
    "Verbose ID",
    "ID",
    "Action",
    "Title",
    "Description",
    "Phase",
    "Scope",
    "Type",
    "Required",
    "Unique",
    "Hidden",
    "JSON Properties",
    "Created",
    "Modified",
)
# Row 1 of each sheet but the first, in the order of the sheets.
COLUMNS: dict[str, tuple[str, ...]] = {
    CAPABILITIES: ("Capability", "Action", "Value"),
    LINKS: ("Type", "Title", "Action", "Url"),
    MEDIA: ("Position", "ID", "Action", "Type", "Image File", "Video URL Location"),
    TEMPLATES: ("ID", "Title", "Action", "Scope", "Type", "Content", "Created", "Modified"),
    ITEMS: (
        "ID",
        "MPN",
        "Action",
        "Name",
        "Description",
        "Type",
        "Precision",
        "Unit",
        "Billing Period",
        "Commitment",
        "Status",
        "Created",
        "Modified",
    ),
    **dict.fromkeys(PARAMETERS.values(), _PARAMETER),
    ACTIONS: (
        "Verbose ID",
        "ID",
        "Action",
        "Name",
        "Title",
        "Description",
        "Scope",
        "Created",
        "Modified",
    ),
    CONFIGURATION: (
        "ID",
        "Parameter",
        "Scope",
        "Action",
        "Item ID",
        "Item Name",
        "Marketplace ID",
        "Marketplace Name",
        "Value",
    ),
    TRANSLATIONS: (
        "Translation ID",
        "Action",
        "Context ID",
        "Context",
        "Owner ID",
        "Owner",
        "Locale",
        "Description",
        "Autotranslation",
        "Completion",
        "Status",
        "Is primary",
        "Created",
        "Updated",
    ),
    MESSAGES: ("ID", "Action", "External ID", "Value", "Auto"),
}
# Sheets that an import reads; of the others it names the rows.
READ = tuple(name for name in COLUMNS if name not in (TRANSLATIONS, MESSAGES))

# The first sheet has a label in column A and its value in column B, from this row on.
FIRST_LABEL = 3
LABELS = (
    "Account ID",
    "Account Name",
    "Product ID",
    "Product Name",
    "Export datetime",
    "Product Category",
    "Product Icon file name",
    "Product Short Description",
    "Product Detailed Description",
    "Embedding description",
    "Embedding getting started",
    "Primary Translation Locale",
)
# connect-cli reads the values by their place.
CELL = {label: f"B{FIRST_LABEL + place}" for place, label in enumerate(LABELS)}

# No value, and no action in the column Action.
NONE = "-"
# Characters that a cell may have; openpyxl cuts longer texts without an error.
MAX_TEXT = 32_767

# A row to be written, by column.
Cells = dict[str, object]


def dated(created: datetime, updated: datetime) -> Cells:
    """Return the last two columns of a row."""
    return {"Created": format_datetime(created), "Modified": format_datetime(updated)}
