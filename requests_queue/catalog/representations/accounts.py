"""Accounts, and the people in them."""

from __future__ import annotations

from typing import Literal

from requests_queue.api.resources import (
    CREATED,
    HAPPENED,
    Constant,
    Field,
    Part,
    Resource,
    absent,
)
from requests_queue.api.schema import Free, Stamp
from requests_queue.catalog.models import Account, User
from requests_queue.catalog.representations import PICTURED, icon

# What a user is; Connect's document has no list of words.
ACTIVE, DISABLED = "active", "disabled"

ACCOUNT = Resource(
    "Account",
    "A vendor or a provider.",
    {
        "id": str,
        "name": str,
        "icon": Field(str, icon),
        "description": Field(str, unfiltered=True),
        "type": Literal["vendor", "provider"],
        "role": Literal["vendor", "distributor", "reseller"],
        "brand": str,
        "external_id": str,
        "events": CREATED,
    },
    model=Account,
    search=("id", "name"),
    also=absent("public", type=bool | None),
)

CONTEXT = Part(
    "KeyContext",
    "The account for which a key creates keys.",
    {
        "account": Field(PICTURED),
        "user": Field(
            Part("KeyUser", "The service user of a key.", {"id": Field(str, "uid"), "name": str})
        ),
    },
)
TOKEN = Part(
    "NewKey",
    "A new API key, `id` and `token` joined by a colon; the secret is in no other response.",
    {
        "id": Field(str, "row.user.uid"),
        "name": Field(str, "row.name"),
        "description": Field(str, "row.description"),
        "owner": Field(PICTURED, "account"),
        "status": Constant("active", str),
        # As the body names it: it isn't stored.
        "extension": Free,
        "token": Field(str, "secret"),
        "expiration_date": Field(Stamp | None, "row.expires"),
        "events": Field(CREATED, "row"),
    },
)


# Nobody is invited or signs terms here: a user is active from the moment of its creation.
ACCOUNT_USER = Resource(
    "AccountUser",
    "A person of an account.",
    {
        "id": Field(str, "uid"),
        "name": str,
        "active": Field(bool, "is_active"),
        "status": Field(
            Literal["active", "disabled"], lambda row: ACTIVE if row.is_active else DISABLED
        ),
        "events": Part(
            "AccountUserEvents",
            "The moments of a user.",
            {
                "created": Field(HAPPENED, "date_joined"),
                "activated": Field(HAPPENED, "date_joined"),
            },
        ),
        # The document has an address in it, or no such key.
        "email": Field(str, lambda row: row.email or None, optional=True),
    },
    model=User,
    search=("id", "email"),
    also={
        "email": "email",
        "name": Field(str, "shown_name"),
        "status": Field(str, "shown_status"),
        **absent(
            "domain.auth.idp.id",
            "domain.id",
            "external_id",
            "groups.id",
            "groups.name",
            "idp.id",
            "tags.id",
            "tags.name",
        ),
        **absent("domain.auth.enforce", type=bool | None),
        **absent("events.invited.at", "events.signed.at", type=Stamp | None),
    },
)
