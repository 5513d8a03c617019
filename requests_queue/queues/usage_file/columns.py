"""Names of the sheets and columns of usage spreadsheets.

Sources: the converter that CloudBlue published in 2026, connect-sdk 22, the PHP and Haxe SDKs.
"""

SHEETS = ("records", "usage_records")
CATEGORIES = "categories"

RECORD = (
    "record_id",
    "record_note",
    "item_search_criteria",
    "item_search_value",
    "quantity",
    "start_time_utc",
    "end_time_utc",
    "asset_search_criteria",
    "asset_search_value",
    "category_id",
    "amount",
    "tier",
    "item_name",
    "item_unit",
    "item_mpn",
    "item_precision",
    "asset_recon_id",
)
REQUIRED = (
    "record_id",
    "item_search_criteria",
    "item_search_value",
    "quantity",
    "start_time_utc",
    "end_time_utc",
    "asset_search_criteria",
    "asset_search_value",
)
CATEGORY = ("category_id", "category_name", "category_description")

# Columns that the processed file adds. Names from a report that reads it.
FOUND = (
    "status",
    "error_details",
    "product_id",
    "item_id",
    "item_type",
    "item_period",
    "asset_id",
    "asset_external_id",
    "customer_account_id",
    "customer_company_name",
    "vendor_record_id",
    "external_billing_id",
    "external_billing_note",
)
