"""The types of fulfillment requests, and what each requires of the product and the asset."""

from requests_queue import assumptions

TYPES = ("purchase", "change", "suspend", "resume", "cancel", "adjustment", "renew", "transfer")

# The product capability with which a type is created as a draft.
DRAFT_CAPABILITY = {
    "purchase": "cart.validation",
    "change": "subscription.change.validation",
    "renew": "subscription.renew.validation",
    "transfer": "subscription.transfer.validation",
}
# The product capability that validates inquiries of a type, besides `inquiring.validation`.
INQUIRING_CAPABILITY = {
    "change": "subscription.change.inquiring_validation",
    "renew": "subscription.renew.inquiring_validation",
    "transfer": "subscription.transfer.inquiring_validation",
}
# The product capability that a type requires.
TYPE_CAPABILITY = {
    "renew": "subscription.renew.enable_renew",
    "transfer": "subscription.transfer.enable_transfer",
}
_ASSET_STATUSES = {
    "change": ("active",),
    "adjustment": ("active",),
    "renew": ("active",),
    "transfer": ("active",),
    "suspend": ("active",),
    "resume": ("suspended",),
    "cancel": ("active", "suspended"),
}


def asset_statuses(kind: str) -> tuple[str, ...]:
    """Return the statuses of an asset in which a type, other than purchase, can be created."""
    if kind == "cancel" and assumptions.value("cancel_suspended") == "refused":
        return ("active",)
    return _ASSET_STATUSES[kind]


def validation_capabilities(kind: str, status: str) -> tuple[str, ...]:
    """Return the capabilities each of which enables the validation of a draft or an inquiry."""
    if status == "draft":
        return tuple(filter(None, [DRAFT_CAPABILITY.get(kind)]))
    own = INQUIRING_CAPABILITY.get(kind)
    return ("inquiring.validation", *filter(None, [own]))
