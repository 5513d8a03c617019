"""The modules for which an API key has permissions, and the paths of the API that belong to each.

Names are those of the articles on Connect's modules, of CloudBlue's agent skills, and of chapters
of Connect's OpenAPI document. docs/fidelity.md says which paths are named there, and which are
assumed. No Django: the command line reads the names.
"""

# By the first one or two segments of a path below /public/v1.
BY_PATH = {
    "accounts": "Account",
    "agreements": "Partners",
    "assets": "Subscriptions",
    "auth": "Account",
    "branding": "Account",
    "categories": "Products",
    "contracts": "Partners",
    "conversations": "Conversations",
    "devops": "DevOps",
    "helpdesk": "Helpdesk",
    "hubs": "Marketplaces",
    "listing-requests": "Listings",
    "listings": "Listings",
    "localization": "Localization",
    "marketplaces": "Marketplaces",
    "notifications/webhooks": "Integrations",
    "pricing": "Pricing",
    "products": "Products",
    "requests": "Subscriptions",
    "settings/units": "Products",
    "subscriptions": "Subscriptions",
    # Of 2021: it fills a template with the values of an order.
    "templates": "Subscriptions",
    "tier/account-requests": "Customers",
    "tier/accounts": "Customers",
    "tier/config-requests": "Tier Config",
    "tier/configs": "Tier Config",
    "usage": "Usage",
    "users": "Account",
}
MODULES = tuple(sorted(set(BY_PATH.values())))
# In place of names: every module, also one that a later version adds.
ALL = "all"


def all_modules() -> list[str]:
    """Return the modules of a key for which none were chosen."""
    return [ALL]


def find_module(path: str) -> str | None:
    """Return the module of a path below `/public/v1`, None if it belongs to none."""
    first, _, rest = path.strip("/").partition("/")
    return BY_PATH.get(first) or BY_PATH.get(f"{first}/{rest.partition('/')[0]}")
