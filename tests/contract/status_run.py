"""A run through everything that has a status, in which a recorder notes the changes."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings

from requests_queue import clock
from requests_queue.catalog.models import Contract, Item, Listing, Product
from requests_queue.catalog.writes import contracts
from requests_queue.queues import base
from requests_queue.queues.usage_file import processing
from requests_queue.queues.usage_file.models import UsageChunk, UsageRecord
from requests_queue.tasks import run_due
from tests import make
from tests.api import caller
from tests.contract.state_machines import PUBLISHED, Ours, Recorder
from tests.queue import builders, tables
from tests.queue.platforms import Platform, undone


def observed(platform: Platform) -> set[Ours]:
    """Return the changes of everything that has a status, in a run through all of it."""
    recorder = Recorder(platform)
    scenes = (
        _queues,
        _orders,
        _drafts,
        _listings,
        _products,
        _contracts,
        _program_contracts,
        _tier_accounts,
        _usage,
    )
    for scene in scenes:
        scene(recorder)
    return recorder.observed


def _queues(recorder: Recorder) -> None:
    """Create objects of each queue and type in each status."""
    ends = ("approved", "failed", "revoked", "completed", "canceled")
    for queue, builder in builders.BUILDERS.items():
        for n, kind in enumerate(tables.TYPES[queue] or ("",)):
            for status in tables.STATUSES[queue]:
                if status in ends or n == 0 or (kind == "change" and status == "draft"):
                    with undone():
                        builder(recorder.platform, status, kind)


def _orders(recorder: Recorder) -> None:
    """Create and end the requests that no builder creates."""
    platform = recorder.platform
    for verb in ("approve", "fail"):
        with undone():
            asset = builders.subscription(platform, "suspended")
            created = recorder.post("D", "/requests", builders.asset_request(asset, "cancel"))
            recorder.post("V", f"/requests/{created['id']}/{verb}", builders.body_of(verb))
    with undone():
        asset = builders.subscription(platform)
        recorder.post("V", "/requests", builders.asset_request(asset, "adjustment"))
    with undone():
        asset = builders.subscription(platform)
        off = {"capabilities": {"subscription": {"hold": False}}}
        recorder.put("V", f"/products/{platform.product}", off)
        recorder.post("D", "/requests", builders.asset_request(asset, "suspend"))
    with undone():
        for scope in ("asset", "tier1"):
            rules = {"required": True}
            make.parameter(platform.catalog, f"{scope}_must", scope=scope, constraints=rules)
        builders.create_order(platform, "purchase")
        builders.create_config_request(platform, "setup")
        recorder.post("D", "/requests", builders.order(platform, builders.reseller("first")))
    with undone():
        tiers = builders.order(platform, builders.reseller("first"))
        tiers["asset"]["tiers"]["tier2"] = builders.reseller("above")
        recorder.post("D", "/requests", tiers)
    for actor in ("V", "D"):
        with undone():
            [config] = platform.by[actor].get("/tier/configs?status=active").json
            body = {"type": "update", "configuration": {"id": config["id"]}}
            pk = recorder.post(actor, "/tier/config-requests", body)["id"]
            recorder.post(actor, f"/tier/config-requests/{pk}/fail", builders.body_of("fail"))


def _drafts(recorder: Recorder) -> None:
    """Turn drafts into requests, and delete old ones."""
    platform = recorder.platform
    for queue in (tables.FULFILLMENT, tables.TIER_CONFIG):
        for kind, verb in (("purchase", "purchase"), ("change", "submit")):
            if queue == tables.TIER_CONFIG:
                kind, verb = {"purchase": "setup", "change": "update"}[kind], "submit"
            with undone():
                pk = builders.BUILDERS[queue](platform, "draft", kind)
                recorder.post("D", f"{tables.PATHS[queue]}/{pk}/{verb}")
            with undone():
                pk = builders.BUILDERS[queue](platform, "draft", kind)
                found = base.find_object(pk)
                assert found is not None
                old = clock.now() - timedelta(days=settings.SIM_DRAFT_DAYS + 1)
                found[0].model._default_manager.filter(pk=pk).update(updated=old)
                recorder.note("system", "", run_due)


def _listings(recorder: Recorder) -> None:
    """Delete and cancel drafts of new listings, and change a listing directly."""
    platform, path = recorder.platform, tables.PATHS[tables.LISTING]
    with undone():
        [listing] = platform.by["D"].get(f"/listings?product.id={platform.product}").json
        for status in ("unlisted", "listed"):
            recorder.put("D", f"/listings/{listing['id']}", {"status": status})
    for method, verb in (("DELETE", ""), ("POST", "/cancel")):
        with undone():
            Listing.objects.all().delete()
            contract = Contract.objects.get(vendor=platform.catalog.vendor).pk
            body = {"type": "new", "product_id": platform.product, "contract_id": contract}
            pk = recorder.post("V", path, body)["id"]
            recorder.call("V", method, f"{path}/{pk}{verb}")


def _products(recorder: Recorder) -> None:
    """Create, publish, take off sale and delete products and items."""
    path = "/products"
    item = {"name": "Box", "mpn": "BOX", "type": "reservation", "unit": {"id": "unit"}}
    with undone():
        pk = recorder.post("V", path, {"name": "Archive"})["id"]
        part = recorder.post("V", f"{path}/{pk}/items", item)["id"]
        recorder.call("V", "DELETE", f"{path}/{pk}/items/{part}")
        recorder.call("V", "DELETE", f"{path}/{pk}")
    with undone():
        pk = recorder.platform.product
        Product.objects.filter(pk=pk).update(status="draft")
        Item.objects.filter(product=pk).update(status="draft")
        body = {"changes_description": "First.", "public": True}
        recorder.attempt("V", "POST", f"{path}/{pk}/versions", body)
        Product.objects.filter(pk=pk).update(status="published")
        Item.objects.filter(product=pk).update(status="published")
        part = recorder.platform.catalog.item.pk
        for each in (f"{path}/{pk}/items/{part}", f"{path}/{pk}"):
            for verb in ("endsale", "resumesale"):
                recorder.post("V", f"{each}/{verb}", {} if verb == "endsale" else None)


def _contracts(recorder: Recorder) -> None:
    """Take every action of contracts in every status, by both parties."""
    pk = Contract.objects.get(vendor=recorder.platform.catalog.vendor).pk
    for status in PUBLISHED["distribution_contract"]["statuses"]:
        for verb in contracts.STEPS:
            for actor in ("V", "D"):
                with undone():
                    Contract.objects.filter(pk=pk).update(status=status)
                    recorder.attempt(actor, "POST", f"/contracts/{pk}/{verb}")


def _program_contracts(recorder: Recorder) -> None:
    """Create the contract of a program, activate its account, and take every action of it."""

    def post(who: str, action: str, path: str, body: Any = None) -> None:
        recorder.note(who, action, partial(parties[who].post, path, body))

    with undone():
        parties = {"distributor": recorder.platform.by["D"]}
        body = {"title": "Program", "type": "program", "document_type": "none"}
        program = parties["distributor"].post("/agreements", body).json["id"]
        body = {"partner": {"name": "New"}, "activation": {"message": "Welcome"}}
        post("distributor", "POST program_contract", f"/agreements/{program}/contracts", body)
        contract = Contract.objects.get(program=program)
        parties["vendor"] = caller(contract.vendor)
        with undone():
            body = {"name": "New", "code": contract.pk}
            post("distributor", "POST account", "/accounts", body)
        for status in PUBLISHED["program_contract"]["statuses"]:
            for verb in contracts.STEPS:
                for who in parties:
                    with undone():
                        Contract.objects.filter(pk=contract.pk).update(status=status)
                        path = f"/contracts/{contract.pk}/{verb}"
                        post(who, f"{verb} program_contract", path)


def _tier_accounts(recorder: Recorder) -> None:
    """Create and decommission a tier account."""
    with undone():
        body = builders.reseller("gone")
        pk = recorder.post("D", "/tier/accounts", body)["id"]
        recorder.call("D", "DELETE", f"/tier/accounts/{pk}")


# What is done with a usage file that was uploaded: by its actions, those of its records and its
# chunk, and by uploads of usage and of a reconciliation.
USAGE = (
    "V delete",
    "V upload, V submit, D reject, V upload, V submit, D accept, D close",
    "V submit, D rejected, D approved, D rejected, D approve-all, D reject",
    "V submit, D accept, D rejected, D approved, D close-record, D close-records",
    "V submit, D accept, D close-chunk",
    "V submit, D accept, D reconciliation",
)


def _usage(recorder: Recorder) -> None:
    """Upload usage files, decide about their records, and close them in every way."""
    for steps in USAGE:
        with undone():
            pk = builders.draft_usage_file(recorder.platform)
            _upload(recorder, pk, "AS-0000-0000-0000")
            _upload(recorder, pk, builders.held(recorder.platform))
            for step in steps.split(", "):
                _use(recorder, pk, *step.split())


def _upload(recorder: Recorder, pk: str, asset: str) -> None:
    path, vendor = f"/usage/files/{pk}/upload", recorder.platform.by["V"]
    content = builders.sheet(asset, 1, 2)
    recorder.note("vendor", "upload usage_file", lambda: builders.send(vendor, path, content))
    # The file changes twice meanwhile, by actions that are declared.
    recorder.note("system", "", lambda: processing.run(pk), only="usage_record")


def _use(recorder: Recorder, pk: str, actor: str, verb: str) -> None:
    file, billed = f"/usage/files/{pk}", {"external_billing_id": "INV-1"}
    records = UsageRecord.objects.filter(file=pk).order_by("row").values_list("pk", flat=True)
    if verb == "upload":
        _upload(recorder, pk, builders.held(recorder.platform))
    elif verb in ("approved", "rejected"):
        recorder.put(actor, f"/usage/records/{records[0]}", {"status": verb})
    elif verb == "close-record":
        recorder.post(actor, f"/usage/records/{records[0]}/close", billed)
    elif verb == "close-records":
        recorder.post(actor, "/usage/records/close-records", [{"id": records[1]}])
    elif verb == "close-chunk":
        chunk = UsageChunk.objects.get(file=pk).pk
        recorder.post(actor, f"/usage/chunks/{chunk}/close", billed)
    elif verb == "reconciliation":
        content = b"record_id,external_billing_id\nr-1,INV-1\n"
        send = partial(builders.send, recorder.platform.by[actor], f"{file}/{verb}", content)
        recorder.note("distributor", f"{verb} usage_file", send)
    else:
        recorder.post(actor, f"{file}/{verb}")
