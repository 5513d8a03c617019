"""Listing requests in every status, about the listings of `accounts.add_connections`."""

from __future__ import annotations

from datetime import datetime, timedelta

from requests_queue import clock
from requests_queue.catalog.models import Listing, User
from requests_queue.queues.listing.models import ListingRequest
from requests_queue.seed.accounts import CONTRACT, DISTRIBUTOR_USER, PROVIDER, VENDOR, VENDOR_USER
from requests_queue.seed.rows import add_missing, moment

# Listing, number, type, status, days before the base, hours since, note.
_ROWS: tuple[tuple[str, int, str, str, float, float, str], ...] = (
    ("LST-731-204-558", 1, "new", "completed", 345, 120, "Ready to be sold."),
    ("LST-448-096-312", 1, "new", "completed", 344, 140, "Ready to be sold."),
    ("LST-905-617-283", 1, "new", "completed", 343, 72, "Ready to be sold."),
    ("LST-731-204-558", 2, "remove", "canceled", 90, 30, "Asked for by mistake."),
    ("LST-731-204-558", 3, "update", "draft", 2, 0, "A new description, in three languages."),
    ("LST-448-096-312", 2, "update", "deploying", 6, 50, "Yearly prices are new."),
    ("LST-905-617-283", 2, "remove", "reviewing", 1, 1, "Replaced by Nimbus Meter 2."),
)


def add_listing_requests(at: datetime) -> dict[str, int]:
    """Add the requests about existing listings, with the distributor's user as assignee."""
    listings = Listing.objects.in_bulk([row[0] for row in _ROWS])
    people = {u.uid: u for u in User.objects.filter(uid__in=(VENDOR_USER, DISTRIBUTOR_USER))}
    rows = []
    for listing_id, number, kind, status, days, hours, note in _ROWS:
        listing = listings.get(listing_id)
        if listing is None or listing.contract_id != CONTRACT:
            continue
        created = moment(at, -days)
        touched = status in ("deploying", "completed", "canceled")
        rows.append(
            ListingRequest(
                id=f"LSTR-{listing_id[4:]}-{number:03d}",
                type=kind,
                status=status,
                listing=listing,
                product_id=listing.product_id,
                vendor_id=VENDOR,
                provider_id=PROVIDER,
                creator=people.get(VENDOR_USER),
                note=note,
                submitted=status != "draft",
                assignee=people.get(DISTRIBUTOR_USER) if touched else None,
                created=created,
                updated=clock.shown(created + timedelta(hours=hours)),
            )
        )
    return {"listing requests": add_missing(rows)}
