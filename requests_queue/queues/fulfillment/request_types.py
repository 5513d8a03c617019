"""The types of fulfillment requests, and what each requires of the product and the asset."""

TYPES = ("purchase", "change", "suspend", "resume", "cancel", "adjustment", "renew", "transfer")

# The product capability with which a type is created as a draft.
DRAFT_CAPABILITY = {
    "purchase": "cart.validation",
    "change": "subscription.change.validation",
    "renew": "subscription.renew.validation",
    "transfer": "subscription.transfer.validation",
}
# The product capability that a type requires.
TYPE_CAPABILITY = {
    "renew": "subscription.renew.enable_renew",
    "transfer": "subscription.transfer.enable_transfer",
}
# The asset statuses in which a type can be created.
NEEDS_ASSET = {
    "change": ("active",),
    "adjustment": ("active",),
    "renew": ("active",),
    "transfer": ("active",),
    "suspend": ("active",),
    "resume": ("suspended",),
    "cancel": ("active", "suspended"),
}
