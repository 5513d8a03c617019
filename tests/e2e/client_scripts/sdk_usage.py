"""Usage in connect-sdk 22: UsageAutomation of the vendor, UsageFileAutomation of both parties."""

import io
from datetime import datetime, timedelta

import openpyxl
from bodies import METER
from connect.exceptions import (
    AcceptUsageFile,
    CloseUsageFile,
    DeleteUsageFile,
    FileCreationError,
    RejectUsageFile,
    SkipRequest,
    SubmitUsageFile,
)
from connect.models import Contract, Product, UsageFile, UsageRecord
from connect.resources import Directory, UsageAutomation, UsageFileAutomation
from connect.rql import Query
from sdk import DISTRIBUTOR, VENDOR, Refused, described, only

ITEM = "NM-CALLS-PPU"
NAMES = ("accept", "reject", "close", "delete", "skip", "forget")


def record(index, quantity):
    end = datetime.utcnow().replace(microsecond=0)
    return UsageRecord(
        usage_record_id=f"sdk-{index}",
        usage_record_note="Calls of a day",
        item_search_criteria="item.mpn",
        item_search_value=ITEM,
        amount=0,
        quantity=quantity,
        start_time_utc=str(end - timedelta(days=1)),
        end_time_utc=str(end),
        asset_search_criteria="asset.id",
        asset_search_value=subscription,
    )


class Reporter(UsageAutomation):
    """Reports six files for the listing."""

    def process_request(self, listing):
        listings.append([listing.id, listing.product.id, listing.contract.id, listing.provider.id])
        for name in NAMES:
            file = UsageFile(
                name=f"sdk {name}",
                product=Product(id=listing.product.id),
                contract=Contract(id=listing.contract.id),
            )
            if name != "accept":
                file.description = "Calls."
            done = self.submit_usage(file, [record(f"{name}-{n}", n + 1) for n in range(3)])
            files[name] = done.id
            created[name] = done.status
        return "six files"

    def dispatch(self, listing):
        outcomes.append(super().dispatch(listing))


class Automation(UsageFileAutomation):
    """Raise the exception for the required outcome of a file."""

    def process_request(self, file):
        processed.append(file.id)
        if outcome_of[file.id] is not None:
            raise outcome_of[file.id]

    def dispatch(self, file):
        outcomes.append(super().dispatch(file))


def work(config, status, **decisions):
    """Process the files of one party, and return their statuses."""
    global outcome_of
    outcome_of = {files[name]: decision for name, decision in decisions.items()}
    automation = Automation(config)
    automation.process(automation.filters(status, id=list(outcome_of)))
    return {name: get(name).status for name in decisions}


def get(name):
    return UsageFileAutomation(VENDOR).get(files[name])


meter = next(
    asset
    for asset in Directory(VENDOR).list_assets({"product.id": METER})
    if asset.status in ("active", "suspended")
)
subscription = meter.id
listings, files, created, outcomes, processed, outcome_of = [], {}, {}, [], [], {}
reporter = Reporter(only(METER))
reporter.process()
unnamed = UsageFile(name="", product=Product(id=METER), contract=Contract(id=listings[0][2]))


def raised(kind, call):
    """Return the text of the error that a call must raise."""
    try:
        call()
    except kind as error:
        return str(error)
    raise AssertionError("nothing was raised")
