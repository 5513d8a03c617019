"""Usage in the Haxe SDK: files filled by a Flow for a listing, and processed by both parties."""

import io
import json
import zipfile

from bodies import METER
from connect import Env, Flow, Processor
from connect.models import Asset, Listing, UsageCategory, UsageFile, UsageRecord
from connect.util import Blob, DateTime
from haxe import Refused, as_distributor, as_vendor, collection, described, parsed, where

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
