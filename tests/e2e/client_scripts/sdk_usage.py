"""Usage in connect-sdk 22: UsageAutomation of the vendor, UsageFileAutomation of both parties."""

import io
from datetime import datetime, timedelta

import openpyxl
from bodies import METER, hand_over, until
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
from sdk import DISTRIBUTOR, VENDOR, only, refused

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
# The sandbox reads the files in the background.
until(lambda: {get(name).status for name in NAMES} == {"ready"})

states = {"submit": work(VENDOR, "ready", **{name: SubmitUsageFile() for name in NAMES[:3]})}
states["delete"] = work(VENDOR, "ready", delete=DeleteUsageFile("Not wanted."))
states["skip"] = work(VENDOR, "ready", skip=SkipRequest())
try:
    work(VENDOR, "ready", forget=None)
    warned = ""
except UserWarning as warning:
    warned = str(warning)
not_the_vendors = refused(lambda: work(VENDOR, "pending", accept=AcceptUsageFile("By myself.")))
states["accept"] = work(
    DISTRIBUTOR, "pending", accept=AcceptUsageFile("Looks right."), close=AcceptUsageFile("Fine.")
)
states["reject"] = work(DISTRIBUTOR, "pending", reject=RejectUsageFile("Too much."))
states["close"] = work(DISTRIBUTOR, "accepted", close=CloseUsageFile())
own = Automation(only(METER)).list()

template = reporter.get_usage_template(Product(id=METER))
book = openpyxl.load_workbook(io.BytesIO(template))


def raised(kind, call):
    try:
        call()
    except kind as error:
        return str(error)
    raise AssertionError("nothing was raised")


unnamed = UsageFile(name="", product=Product(id=METER), contract=Contract(id=listings[0][2]))
final = {name: get(name) for name in NAMES}
hand_over(
    listings=listings,
    created=created,
    outcomes=outcomes,
    states=states,
    warned=warned[:40],
    notes=[final["accept"].acceptance_note, final["reject"].rejection_note],
    stats={name: [final[name].stats.uploaded, final[name].records.valid] for name in NAMES},
    described=[final["accept"].description, final["reject"].description],
    own=sorted(file.name for file in own if file.id in files.values()),
    processed=len(processed),
    sheets=book.sheetnames,
    columns=[cell.value for cell in book["records"][1]],
    events=[final["close"].events.closed.at is not None, final["accept"].events.accepted.by.name],
    all_listings=len(UsageAutomation(DISTRIBUTOR).list(Query())),
    unnamed=raised(FileCreationError, lambda: reporter.submit_usage(unnamed, [])),
    refusals={
        "accept_by_vendor": not_the_vendors,
        "delete_of_closed": refused(lambda: work(VENDOR, "closed", close=DeleteUsageFile())),
        "template": refused(lambda: reporter.get_usage_template(Product(id="PRD-0"))),
    },
)  # fmt: skip
