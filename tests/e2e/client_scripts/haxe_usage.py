"""Usage in the Haxe SDK: files filled by a Flow for a listing, and processed by both parties."""

import io
import json
import zipfile

from bodies import METER, hand_over, until
from connect import Env, Flow, Processor
from connect.models import Asset, Listing, UsageCategory, UsageFile, UsageRecord
from connect.util import Blob, DateTime
from haxe import as_distributor, as_vendor, collection, parsed, refused, where

ITEM = "NM-CALLS-PPU"
NAMES = ("accept", "reject", "delete", "late")


def record(index):
    record = UsageRecord()
    record.recordId = f"haxe-{index}"
    record.itemSearchCriteria, record.itemSearchValue = "item.mpn", ITEM
    record.assetSearchCriteria, record.assetSearchValue = "asset.id", subscription
    record.amount, record.quantity = 1.5, index + 1
    # Months are counted from 0.
    record.startTimeUtc = DateTime(2026, 9, 1, 0, 0, 0)
    record.endTimeUtc = DateTime(2026, 9, 2, 0, 0, 0)
    return record


class Reporter(Flow):
    """Creates four usage files for the listing, two with their own categories."""

    def __init__(self):
        super().__init__(lambda listing: listing.product.id == METER)
        self.step("Register", lambda flow: self.register())
        self.step("Fill", lambda flow: self.fill())

    def register(self):
        listing = self.getListing()
        for name in NAMES:
            body = {
                "name": f"haxe {name}",
                "description": "Calls of a day",
                "product": {"id": listing.product.id},
                "contract": {"id": listing.contract.id},
                "period": {"to": "2026-10-02T00:00:00+00:00"},
            }
            file = parsed(UsageFile, body)
            file.period._hx_from = DateTime(2026, 9, 1, 0, 0, 0)
            files[name] = file.register()

    def fill(self):
        records = collection(*(record(index) for index in range(3)))
        category = UsageCategory()
        category.id, category.name, category.description = "calls", "Calls", "Calls of the API"
        for name, file in files.items():
            if name == "accept":
                for row in records.toArray():
                    row.categoryId = "calls"
                uploaded.append(file.uploadRecordsAndCategories(records, collection(category)))
                for row in records.toArray():
                    row.categoryId = None
            else:
                uploaded.append(file.uploadRecords(records))


class Submitter(Flow):
    def __init__(self, *names):
        super().__init__(lambda file: file.id in {files[name].id for name in names})
        self.step("Submit", lambda flow: submitted.append(flow.getUsageFile().submit().status))


def status(name):
    return UsageFile.get(files[name].id).status


def records_of(name):
    return json.loads(Env.getUsageApi().listUsageRecords(where(usagefile__id=files[name].id)))


as_vendor()
# The sandbox has one subscription with usage; it need not be active.
subscription = Asset.list(where(product__id=METER, status="suspended").limit(1)).get(0).id
files, uploaded, submitted = {}, [], []
Processor().flow(Reporter()).processListings(where(status="listed"))
until(lambda: {status(name) for name in NAMES} == {"ready"})

late = UsageFile.get(files["late"].id)
late.description = "Calls of another day"
updated = late.update()
unchanged = updated.update() is updated
Processor().flow(Submitter("accept", "reject")).processUsageFiles(where(status="ready"))
deleted = [UsageFile.get(files["delete"].id).delete(), status("delete")]
too_late = UsageFile.get(files["delete"].id).delete()

as_distributor()
accepted = UsageFile.get(files["accept"].id).accept("Looks right.")
rejected = UsageFile.get(files["reject"].id).reject("Counted twice.")
billed = records_of("accept")
sheet = UsageFile.createSpreadsheet(files["accept"].id, [], None)
usage = Env.getUsageApi()
pk = billed[0]["id"]
closed_record = json.loads(usage.closeUsageRecord(pk, '{"external_billing_id": "I-1"}'))
refused_record = json.loads(usage.updateUsageRecord(billed[1]["id"], '{"status": "rejected"}'))
reprocessed = accepted.reprocess()
reconciled = refused(lambda: accepted.uploadReconciliation(Blob._fromBytes(sheet)))
closed = accepted.close()
as_vendor()
again = UsageFile.get(files["reject"].id).uploadRecords(collection(record(7)))
until(lambda: status("reject") == "ready")

template = parsed(UsageFile, {"id": METER})
book = zipfile.ZipFile(io.BytesIO(bytes(template.getTemplate()._toArray())))

hand_over(
    registered=[[file.status, file.currency, file.period.toString()] for file in files.values()],
    uploaded=[file.id for file in uploaded] == [file.id for file in files.values()],
    updated=[updated.description, unchanged],
    submitted=submitted,
    deleted=deleted,
    too_late=too_late,
    accepted=[accepted.status, accepted.acceptanceNote],
    rejected=[rejected.status, rejected.rejectionNote],
    records=[[row["item"]["mpn"], row["category"], row["usage"]] for row in billed],
    record=[closed_record["status"], closed_record["external_billing_id"]],
    record_status=refused_record["status"],
    reprocessed=reprocessed.status,
    reconciled=reconciled,
    closed=closed.status,
    again=[again.id == files["reject"].id, status("reject")],
    template="xl/workbook.xml" in book.namelist(),
    link=template.getTemplateLink().partition("?")[0].startswith("http"),
    of_file=refused(files["late"].getTemplateLink),
    listing=Listing.list(where(product__id=METER)).get(0).product.id,
)
