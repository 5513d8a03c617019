"""References in bodies: objects of others are refused like missing objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from requests_queue.catalog.models import (
    Account,
    Asset,
    Template,
    TierAccount,
    User,
)
from requests_queue.queues.tier_config.models import TierConfig
from requests_queue.queues.usage_file import processing
from requests_queue.queues.usage_file.models import UsageRecord
from requests_queue.seed.accounts import CONTRACT, DISTRIBUTOR_USER, HUB, MARKETPLACE, VENDOR_USER
from requests_queue.seed.products import BACKUP, SUITE
from tests.api import PROVIDER, VENDOR, Caller, Response
from tests.contract import calls
from tests.contract.accounts import (
    NEW_DISTRIBUTOR,
    NEW_VENDOR,
    STRANGERS,
    Platform,
    platform,  # noqa: F401  (fixture)
)
from tests.contract.calls import DISTRIBUTOR as D
from tests.contract.calls import VENDOR as V
from tests.contract.calls import Call
from tests.copies import ID, nowhere
from tests.make import CONTACT
from tests.queue.platforms import undone
from tests.queue.spreadsheets import csv, row, send, table

pytestmark = pytest.mark.django_db

# Names given by owners; the copies add their number.
NAMES = ("external_uid", "external_id", "asset_external_uid")
# A subscription without an open request.
FREE = "AS-5810-2277-4093"
Reference = tuple[str, str, Call]


def more() -> Iterator[Reference]:
    """Yield calls with references that the bodies of the table do not have."""
    own = Asset.objects.filter(connection__provider=PROVIDER, connection__vendor=VENDOR)
    asset = own.filter(status="active", product=SUITE).first()
    reseller = (
        TierAccount.objects.filter(owner=PROVIDER, type="reseller").exclude(external_uid="").first()
    )
    yield from _orders(asset, reseller)
    yield from _moves()
    yield from _tiers(reseller)
    yield from _catalog()
    for name in ("external_uid", "external_id"):
        bill = {**calls.BILL, "asset": {name: getattr(asset, name)}}
        yield "POST", "/subscriptions/requests", Call(D, bill)
    yield "POST", "/conversations", Call(V, {"instance_id": asset.requests.first().pk})


def _orders(asset: Asset, reseller: TierAccount) -> Iterator[Reference]:
    order = calls.order(BACKUP)["asset"]
    named = {
        **order,
        "product": {"id": BACKUP},
        "contract": {"id": CONTRACT},
        "marketplace": {"id": MARKETPLACE},
        "external_uid": asset.external_uid,
        "tiers": {name: {"id": reseller.pk} for name in ("customer", "tier1", "tier2")},
    }
    yield "POST", "/requests", Call(D, {"type": "purchase", "asset": named})
    by_uid = {"external_uid": reseller.external_uid, **order["tiers"]["tier1"]}
    tiers = {**order["tiers"], "tier1": by_uid}
    yield "POST", "/requests", Call(D, {"type": "purchase", "asset": {**order, "tiers": tiers}})
    items = [{"id": asset.items[0]["global_id"], "quantity": 77}]
    for pk in (asset.pk, FREE):
        yield "POST", "/requests", Call(D, {"type": "change", "asset": {"id": pk, "items": items}})
        yield "POST", "/requests", Call(V, {"type": "adjustment", "asset": {"id": pk}})
    drafted = {"tiers": {"customer": {"id": reseller.pk}}, "items": named["items"]}
    yield "PUT", "/requests/{}", Call(D, {"asset": drafted}, "?status=draft&type=purchase")


def _moves() -> Iterator[Reference]:
    inquire = Template.objects.filter(product=BACKUP, type="inquire").first()
    ready = Template.objects.filter(product=BACKUP, type="fulfillment", scope="asset").first()
    tier = Template.objects.filter(product=SUITE, type="fulfillment", scope="tier1").first()
    yield "POST", "/requests/{}/approve", Call(V, {"template_id": ready.pk}, calls.pending)
    yield "POST", "/requests/{}/inquire", Call(V, {"template_id": inquire.pk}, calls.pending)
    body = {"template": {"id": tier.pk}}
    for name in ("approve", "inquire"):
        yield "POST", f"/tier/config-requests/{{}}/{name}", Call(V, body, calls.tier_request)
    for party, user in ((V, VENDOR_USER), (D, DISTRIBUTOR_USER)):
        for path in ("/requests", "/tier/config-requests"):
            yield "POST", f"{path}/{{}}/assign", Call(party, {"id": user}, "?status=pending")
    # Users of the other party of the request cannot be assigned either.
    yield (
        "POST",
        "/listing-requests/{}/assign",
        Call(D, {"id": DISTRIBUTOR_USER}, "?state=reviewing"),
    )


def _tiers(reseller: TierAccount) -> Iterator[Reference]:
    account = {"id": reseller.pk}
    config = TierConfig.objects.filter(connection__provider=PROVIDER, product=SUITE).first()
    configuration = {
        "product": {"id": SUITE},
        "connection": {"id": "CT-3380-6125-4471"},
        "tier_level": 1,
        "account": account,
        "parent_account": account,
        "marketplace": {"id": MARKETPLACE},
    }
    path = "/tier/config-requests"
    yield "POST", path, Call(D, {"type": "setup", "configuration": configuration})
    yield "POST", path, Call(D, {"type": "update", "configuration": {"id": config.pk}})
    yield "POST", path, Call(V, {"type": "adjustment", "configuration": {"id": config.pk}})
    for name in ("external_uid", "external_id"):
        changed = {name: getattr(reseller, name), "tax_id": "93-5550147"}
        yield "POST", "/tier/account-requests", Call(D, {"type": "update", "account": changed})
    parent = {"name": "A", "contact_info": CONTACT, "hub": {"id": HUB}, "parent": account}
    yield "POST", "/tier/accounts", Call(D, {**parent, "external_uid": reseller.external_uid})
    yield "PUT", "/tier/accounts/{}", Call(D, {"parent": account}, "?type=customer")


def _catalog() -> Iterator[Reference]:
    for kind in ("new", "update", "remove"):
        body = {"type": kind, "product_id": BACKUP, "contract_id": CONTRACT}
        yield "POST", "/listing-requests", Call(V, body)
    connected = {"type": "production", "hub": {"id": HUB}, "provider": {"id": PROVIDER}}
    yield "POST", "/products/{}/connections", Call(V, connected, lambda c: BACKUP)
    value = {"item": {"id": f"{SUITE}-0001"}, "marketplace": {"id": MARKETPLACE}, "value": "1"}
    for parameter in ("api_endpoint", "trial_days", "promotion_code"):
        body = {**value, "parameter": {"id": parameter}}
        yield "POST", "/products/{}/configurations", Call(V, body, lambda c: SUITE)
    replaced = {"replacement": {"id": f"{BACKUP}-0002"}}
    on = f"{BACKUP} {BACKUP}-0001"
    yield "POST", "/products/{}/items/{}/endsale", Call(V, replaced, lambda c: on)


def leaves(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Yield the references in a body: path and value."""
    pairs = body.items() if isinstance(body, dict) else enumerate(body)
    for key, value in pairs:
        if isinstance(value, (dict, list)):
            yield from leaves(value, (*path, key))
        elif isinstance(value, str) and value and (ID.fullmatch(value) or key in NAMES):
            yield (*path, key), value


def replaced(body: Any, path: tuple[Any, ...], value: str) -> Any:
    """Return a copy of the body with another value at the path."""
    if not path:
        return value
    inner = replaced(body[path[0]], path[1:], value)
    if isinstance(body, dict):
        return {**body, path[0]: inner}
    return [inner if at == path[0] else each for at, each in enumerate(body)]


def describe(response: Response, *names: str) -> Any:
    """Return status and refusal with all names and identifiers replaced."""
    refusal = repr(response.json) if response.status >= 400 else ""
    for name in names:
        refusal = refusal.replace(name, "ID")
    return response.status, ID.sub("ID", refusal)


def test_references_to_objects_of_others_are_refused_as_unknown(platform: Platform) -> None:
    tried, wrong, accepted = set(), [], set()
    table_ = [(*key, call) for key, call in calls.WRITES.items()]
    for method, path, call in [*table_, *more()]:
        if not isinstance(call.body, (dict, list)):
            continue
        other = NEW_VENDOR if call.party == V else NEW_DISTRIBUTOR
        hidden, caller = platform.hidden_from(call.party), platform.callers[call.party]
        with calls.ready(path, call, platform.callers) as full:
            for at, value in leaves(call.body):
                absent = nowhere(value) if ID.fullmatch(value) else f"{value}-absent"
                expected = _try(caller, method, full, replaced(call.body, at, absent))
                for number in (STRANGERS, other):
                    foreign = platform.copies[number].ids.get(value, f"{value}-{number}")
                    if ID.fullmatch(value) and foreign not in hidden:
                        continue
                    actual = _try(caller, method, full, replaced(call.body, at, foreign))
                    tried.add((method, path, at))
                    if describe(actual, foreign) != describe(expected, absent):
                        wrong.append((method, path, at, foreign, actual[:2], expected[:2]))
                    if actual.status < 400:
                        accepted.add((path, at[-1]))
                        named = set(ID.findall(repr(actual.json)))
                        assert not named & (hidden - {foreign}), (method, path, at)
    assert wrong == []
    # Another account may use the same new name; a contract in an order is ignored.
    assert {name for _, name in accepted} <= {*NAMES, "id"}, accepted
    assert len(tried) > 45


def _try(caller: Caller, method: str, path: str, body: Any) -> Response:
    with undone():
        return caller.call(method, path, body)


@pytest.mark.parametrize("number", [STRANGERS, NEW_VENDOR])
def test_usage_rows_do_not_find_subscriptions_of_others(platform: Platform, number: int) -> None:
    vendor = platform.callers[V]
    asset = Asset.objects.get(pk=FREE)
    foreign = Asset.objects.get(pk=platform.copies[number].of(asset.pk))
    rows = [
        row(n, asset_search_criteria=f"asset.{name}", asset_search_value=value)
        for n, (name, value) in enumerate(
            [
                ("id", foreign.pk),
                ("id", nowhere(asset.pk)),
                ("external_uid", foreign.external_uid),
                ("external_uid", "absent"),
                ("external_id", foreign.external_id),
                ("external_id", "absent"),
            ]
        )
    ]
    draft = Call(V, None, "?status=draft")
    with calls.ready("/usage/files/{}/upload", draft, platform.callers) as path:
        assert send(vendor, path, csv(table(rows))).status == 201
        pk = path.split("/")[3]
        processing.run(pk)
        records = UsageRecord.objects.filter(file=pk).order_by("row")
        assert {each.asset_id for each in records} == {None} and len(records) == len(rows)
        messages = [
            [
                error["message"].replace(error["raw_value"], "it")
                for error in each.errors
                if error["column"] == "asset_search_value"
            ]
            for each in records
        ]
        assert messages[::2] == messages[1::2] and all(messages)


def test_users_of_other_accounts_cannot_be_assigned(platform: Platform) -> None:
    user = User.objects.filter(account=Account.objects.get(pk=PROVIDER)).first()
    with calls.ready("/requests/{}/assign", Call(V, None, calls.pending), platform.callers) as at:
        for name, value, absent in (
            ("id", user.uid, nowhere(user.uid)),
            ("email", user.email, "no@example.com"),
        ):
            response = platform.callers[V].post(at, {name: value})
            assert response.status == 404
            assert describe(response, value) == describe(
                platform.callers[V].post(at, {name: absent}), absent
            )
