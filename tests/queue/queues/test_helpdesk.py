"""Helpdesk cases: who opens, changes and closes them, their people and filters."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from requests_queue import clock
from requests_queue.catalog.models import Contract, User
from requests_queue.catalog.writes import products
from requests_queue.conversations.models import Message
from requests_queue.errors import Refused
from requests_queue.queues import samples
from requests_queue.queues.helpdesk import due
from requests_queue.queues.helpdesk.models import Attachment, Case
from requests_queue.signals import collect_next_due, due_reached
from tests import make
from tests.api import refused
from tests.planner import explain
from tests.queue import builders
from tests.queue.platforms import NOBODY, STRANGERS, Platform, check_notified, everything, latest
from tests.queue.tables import CASES, PATHS
from tests.signed_in import signed_in, staff

pytestmark = pytest.mark.django_db

PATH = PATHS[CASES]


def users(platform: Platform) -> dict[str, str]:
    """Return the id of a person of each party."""
    catalog = platform.catalog
    return {"V": catalog.vendor_user.uid, "D": catalog.provider_user.uid}


def opened(platform: Platform, actor: str = "D", **more: Any) -> dict[str, Any]:
    """Open a case as a party, and return its JSON."""
    body = builders.case_body(platform, actor, **more)
    created: dict[str, Any] = platform.post(actor, PATH, body)
    return created


@pytest.mark.parametrize(("actor", "other"), [("V", "D"), ("D", "V")])
def test_either_party_opens_cases_and_the_other_one_receives_them(
    platform: Platform, actor: str, other: str
) -> None:
    since = latest()
    case = opened(platform, actor)
    accounts = {"V": platform.catalog.vendor.pk, "D": platform.catalog.provider.pk}
    assert case["id"].startswith("CA-") and len(case["id"]) == 14
    assert (case["state"], case["priority"]) == ("pending", 0)
    assert case["issuer"]["account"]["id"] == accounts[actor]
    # The user who has opened it.
    assert case["issuer"]["agent"] == case["events"]["created"]["by"]
    assert case["receiver"]["account"]["id"] == accounts[other]
    assert case["receiver"].keys() == {"account", "recipients"}
    assert case.keys() >= {"rating", "feedback"} and "product" not in case
    assert case["events"].keys() == {"created", "updated", "pending"}
    for who in (actor, other):
        assert platform.by[who].get(f"{PATH}/{case['id']}").json == case
    [conversation] = platform.by[other].get(f"/conversations?instance_id={case['id']}").json
    [message] = platform.by[other].get(f"/conversations/{conversation['id']}/messages").json
    assert message["text"] == "Created in status pending."
    check_notified(platform, since, [])


def test_only_parties_see_a_case(platform: Platform) -> None:
    case = opened(platform)["id"]
    attached = builders.attach(platform.by["D"], case, b"log").json["id"]
    one, files = f"{PATH}/{case}", f"{PATH}/{case}/attachments"
    before = everything()
    for who, status in {**dict.fromkeys(STRANGERS, 404), NOBODY: 401}.items():
        by = platform.by[who]
        for method, path in (
            ("GET", one),
            ("PUT", one),
            ("GET", files),
            ("GET", f"{files}/{attached}"),
            ("DELETE", f"{files}/{attached}"),
            ("GET", f"{files}/{attached}?format=attachment"),
            *(("POST", f"{one}/{verb}") for verb in ("inquire", "pend", "resolve", "close")),
        ):
            assert by.call(method, path, None if method == "GET" else {}).status == status, path
        assert builders.attach(by, case, b"log").status == status
    assert platform.by["stranger vendor"].get(PATH).json == []
    assert everything() == before


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"receiver": {}}, "receiver.account.id"),
        ({"receiver": {"account": {"id": "VA-000-000"}}}, "receiver.account.id"),
        ({"receiver": {"account": {"id": "VA-222-222"}}}, "receiver.account.id"),
        ({"receiver": {"account": {"id": "PA-111-111"}}}, "receiver.account.id"),
        ({"receiver": None}, "receiver"),
        ({"issuer": {"account": {"id": "VA-111-111"}}}, "issuer.account.id"),
        ({"issuer": {"agent": {"id": "UR-111-111-001"}}}, "issuer.agent.id"),
        ({"issuer": {"recipients": [{"id": "UR-000-000-000"}]}}, "issuer.recipients.id"),
        ({"issuer": {"recipients": ["UR-111-111-002"]}}, "issuer.recipients"),
        ({"product": {"id": "PRD-222-222-222"}}, "product.id"),
        ({"subject": ""}, "subject"),
        ({"subject": "x" * 301}, "subject"),
        ({"description": None}, "description"),
        ({"type": "other"}, "type"),
        ({"priority": 4}, "priority"),
        ({"priority": None}, "priority"),
        ({"priority": True}, "priority"),
        ({"state": "closed"}, "state"),
        ({"state": "new"}, "state"),
    ],
)
def test_invalid_case_is_refused(platform: Platform, change: dict[str, Any], path: str) -> None:
    before = everything()
    response = platform.by["D"].post(PATH, builders.case_body(platform, **change))
    assert (response.status, response.json["error_code"]) == (400, "VAL_001"), response
    assert response.json["errors"][0].startswith(f"{path}: ")
    assert everything() == before


def test_case_needs_an_active_contract(platform: Platform) -> None:
    Contract.objects.filter(vendor=platform.catalog.vendor).update(status="terminated")
    for actor in "VD":
        response = platform.by[actor].post(PATH, builders.case_body(platform, actor))
        account = builders.case_body(platform, actor)["receiver"]["account"]["id"]
        refused(
            response,
            400,
            f"receiver.account.id: {account} is no partner with an active contract.",
        )


@pytest.mark.parametrize("actor", ["V", "D"])
def test_product_of_a_case_is_one_that_both_parties_see(platform: Platform, actor: str) -> None:
    vendor = platform.catalog.vendor
    hidden = products.create({"name": "Not sold yet"}, vendor).pk
    case = opened(platform, actor)["id"]
    before = everything()
    for response in (
        platform.by[actor].post(PATH, builders.case_body(platform, actor, product={"id": hidden})),
        platform.by[actor].put(f"{PATH}/{case}", {"product": {"id": hidden}}),
    ):
        provider = platform.catalog.provider.pk
        why = f"product.id: {hidden} is no product of {vendor.pk} that {provider} sees."
        refused(response, 400, why)
    assert everything() == before


def test_people_of_the_other_party_are_not_named_at_creation(platform: Platform) -> None:
    ids, catalog = users(platform), platform.catalog
    for people in ({"agent": {"id": ids["V"]}}, {"recipients": [{"id": ids["V"]}]}):
        receiver = {"account": {"id": catalog.vendor.pk}, **people}
        response = platform.by["D"].post(PATH, builders.case_body(platform, receiver=receiver))
        assert response.status == 403
    nobody = {"account": {"id": catalog.vendor.pk}, "agent": None, "recipients": []}
    assert opened(platform, receiver=nobody)["receiver"]["recipients"] == []


def test_issuer_changes_the_content_of_a_case(platform: Platform) -> None:
    case = opened(platform)
    one = f"{PATH}/{case['id']}"
    body = {
        "subject": "Sign-in fails again",
        "description": "Since noon.",
        "type": "business",
        "priority": "3",
        "product": {"id": platform.product},
    }
    changed = platform.put("D", one, body)
    assert (changed["subject"], changed["description"]) == (body["subject"], body["description"])
    assert (changed["type"], changed["priority"]) == ("business", 3)
    assert changed["product"]["id"] == platform.product
    # What was read can be sent back, by either party.
    for actor in "DV":
        assert platform.put(actor, one, changed)["events"]["created"] == case["events"]["created"]
    others = {"subject": "Mine", "description": "Mine", "type": "technical", "priority": 0}
    for name, value in (*others.items(), ("product", None)):
        assert platform.by["V"].put(one, {name: value}).status == 403, name
    assert "product" not in platform.put("D", one, {"product": None})
    for bad in (
        {"state": "resolved"},
        {"subject": ""},
        {"product": {"id": "PRD-222-222-222"}},
        {"priority": 9},
    ):
        assert platform.by["D"].put(one, bad).status == 400
    assert platform.by["D"].put(one, {"receiver": {"account": {"id": "PA-1"}}}).status == 400


def test_each_party_names_its_own_people(platform: Platform) -> None:
    ids, one = users(platform), f"{PATH}/{opened(platform)['id']}"
    sides = {"D": "issuer", "V": "receiver"}
    for actor, side in sides.items():
        people = {"agent": {"id": ids[actor]}, "recipients": [{"id": ids[actor]}]}
        case = platform.put(actor, one, {side: people})
        assert case[side]["agent"]["id"] == ids[actor]
        assert [each["id"] for each in case[side]["recipients"]] == [ids[actor]]
        other = "D" if actor == "V" else "V"
        before = everything()
        for wrong, status in (
            ({sides[other]: {"agent": {"id": ids[other]}, "recipients": []}}, 403),
            ({sides[other]: {"recipients": [{"id": "UR-000-000-000"}]}}, 403),
            ({side: {"agent": {"id": ids[other]}}}, 400),
        ):
            # The first party's people are named when the second is tried.
            response = platform.by[actor].put(one, {**wrong, "subject": case["subject"]})
            assert response.status == status, (actor, wrong, response)
        assert everything() == before
        assert "agent" not in platform.put(actor, one, {side: {"agent": None}})[side]


def test_recipients_are_read_by_one_statement(platform: Platform) -> None:
    case, account = opened(platform)["id"], platform.catalog.provider
    uids = [f"UR-111-111-{n:03}" for n in range(10, 30)]
    User.objects.bulk_create(User(username=uid, uid=uid, account=account) for uid in uids)
    with CaptureQueriesContext(connection) as captured:
        body = {"issuer": {"recipients": [{"id": uid} for uid in uids]}}
        shown = platform.put("D", f"{PATH}/{case}", body)["issuer"]["recipients"]
    assert {each["id"] for each in shown} == {*uids}
    assert sum(any(uid in each["sql"] for uid in uids) for each in captured) == 1
    body["issuer"]["recipients"].append({"id": users(platform)["V"]})
    response = platform.by["D"].put(f"{PATH}/{case}", body)
    refused(response, 400, f"issuer.recipients.id: User {users(platform)['V']} does not exist.")


def test_first_user_who_acts_for_the_receiver_becomes_its_agent(platform: Platform) -> None:
    for verb in ("inquire", "resolve"):
        case = opened(platform)
        changed = platform.post("V", f"{PATH}/{case['id']}/{verb}")
        assert changed["receiver"]["agent"]["id"].startswith("SU-")
        assert changed["issuer"] == case["issuer"]
        state = changed["state"]
        assert changed["events"][state]["by"] == changed["receiver"]["agent"]


def test_issuers_action_assigns_nobody_to_the_receiver(platform: Platform) -> None:
    case = opened(platform, "V")
    changed = platform.post("V", f"{PATH}/{case['id']}/resolve")
    assert "agent" not in changed["receiver"]


def test_receiver_inquires_and_issuer_closes(platform: Platform) -> None:
    case = opened(platform, "V")
    one = f"{PATH}/{case['id']}"
    assert platform.by["V"].post(f"{one}/inquire").status == 403
    platform.post("D", f"{one}/inquire")
    refused(platform.by["D"].post(f"{one}/resolve"), 400)
    platform.post("V", f"{one}/pend")
    platform.post("D", f"{one}/resolve")
    assert platform.by["D"].post(f"{one}/close").status == 403
    closed = platform.post("V", f"{one}/close", {"rating": "5", "feedback": "Thank you."})
    assert (closed["state"], closed["rating"], closed["feedback"]) == ("closed", 5, "Thank you.")
    for response in (
        platform.by["V"].post(f"{one}/pend"),
        platform.by["V"].put(one, {"subject": "More"}),
    ):
        refused(response, 400, "The action is not allowed for current status")
        assert response.json["error_code"] == "VAL_001"


def test_closed_case_takes_comments_and_attachments(platform: Platform) -> None:
    case = builders.helpdesk_case(platform, "closed")
    [conversation] = platform.by["V"].get(f"/conversations?instance_id={case}").json
    platform.post("V", f"/conversations/{conversation['id']}/messages", {"text": "One more."})
    assert Message.objects.filter(text="One more.").count() == 1
    assert builders.attach(platform.by["V"], case, b"log").status == 201


def test_reopened_case_keeps_when_it_was_resolved(platform: Platform) -> None:
    case = builders.helpdesk_case(platform, "resolved")
    events = platform.post("V", f"{PATH}/{case}/pend")["events"]
    assert events.keys() == {"created", "updated", "pending", "resolved"}


def test_resolved_case_is_closed_by_the_platform(platform: Platform) -> None:
    case = Case.objects.get(pk=builders.helpdesk_case(platform, "resolved"))
    assert case.resolved_at is not None
    ends = case.resolved_at + due.AUTOCLOSE
    assert due.next_due in collect_next_due.receivers and due.run in due_reached.receivers
    assert due.next_due(case.resolved_at) == ends
    due.run(ends - timedelta(seconds=1))
    assert platform.status(CASES, case.pk) == "resolved"
    due.run(ends)
    closed = platform.by["D"].get(f"{PATH}/{case.pk}").json
    assert (closed["state"], closed["rating"]) == ("closed", None)
    assert closed["events"]["closed"].keys() == closed["events"]["updated"].keys() == {"at"}
    assert due.next_due(case.resolved_at) is None


def test_resolved_cases_are_found_by_their_index(platform: Platform) -> None:
    with CaptureQueriesContext(connection) as captured:
        due.run(clock.now())
        due.next_due(clock.now())
    statements = [each["sql"] for each in captured if "resolved_at" in each["sql"]]
    assert len(statements) == 2
    for statement in statements:
        plan = explain(statement)
        assert any("helpdesk_case_resolved" in line for line in plan), plan


@pytest.mark.parametrize(
    "query",
    [
        "state=pending",
        "type=technical",
        "priority=2",
        "ge(priority,2)",
        "search=morning",
        "search=PROXY",
        "like(subject,*Proxy*)",
        "like(description,Since*)",
        "issuer.account.id=PA-111-111",
        "receiver.account.name=Vendor",
        "eq(receiver.agent.id,null())",
        "eq(receiver.agent.name,null())",
        'eq(issuer.agent.name,"NAME")',
        'eq(events.created.by.name,"NAME")',
        "eq(events.closed.at,null())",
        "events.updated.by.id=UID",
        "ordering(-priority)&limit=1",
        "ordering(-events.updated.by.name,receiver.agent.name,subject)&search=proxy",
    ],
)
def test_filters_of_the_document(platform: Platform, query: str) -> None:
    me = opened(platform, subject="Proxy fails", priority=2)["id"]
    other = opened(platform, "V", subject="Contract", type="business", description="A question.")
    platform.post("D", f"{PATH}/{other['id']}/resolve")
    platform.post("V", f"{PATH}/{other['id']}/close")
    agent = Case.objects.get(pk=me).issuer_agent
    assert agent is not None
    query = query.replace("NAME", agent.name).replace("UID", agent.uid)
    response = platform.by["D"].get(f"{PATH}?{query}")
    assert [row["id"] for row in response.json] == [me], response


@pytest.mark.parametrize(
    ("kind", "issuer", "has_product"), [("technical", "D", True), ("business", "V", False)]
)
def test_sample_is_opened_by_the_party_of_its_type(
    catalog: make.Catalog, kind: str, issuer: str, has_product: bool
) -> None:
    account = {"V": catalog.vendor, "D": catalog.provider}[issuer]
    for viewer in (catalog.vendor, catalog.provider):
        row = samples.make("helpdesk", kind, None, viewer)
        assert isinstance(row, Case)
        assert (row.issuer, row.type, row.product is not None) == (account, kind, has_product)
        about = samples.make("helpdesk", kind, catalog.product.pk, viewer)
        assert about.product == catalog.product


def test_sample_needs_partners(catalog: make.Catalog) -> None:
    Contract.objects.update(status="terminated")
    with pytest.raises(Refused, match="active contract"):
        samples.make("helpdesk", "technical", None, catalog.vendor)


def test_deleted_user_leaves_cases_and_attachments(platform: Platform) -> None:
    ids, case = users(platform), opened(platform)["id"]
    people = {"agent": {"id": ids["D"]}, "recipients": [{"id": ids["D"]}]}
    platform.put("D", f"{PATH}/{case}", {"issuer": people})
    User.objects.get(uid=ids["D"]).delete()
    connection.check_constraints()
    shown = platform.by["V"].get(f"{PATH}/{case}").json
    assert shown["issuer"].keys() == {"account", "recipients"}
    assert shown["issuer"]["recipients"] == []


def test_case_is_in_the_admin_of_its_parties(platform: Platform) -> None:
    case = opened(platform)["id"]
    builders.attach(platform.by["D"], case, b"log")
    assert Attachment.objects.count() == 1
    client = signed_in(staff(platform.catalog.vendor_user))
    assert case in client.get("/admin/helpdesk/case/").content.decode()
    page = client.get(f"/admin/helpdesk/case/{case}/change/")
    offers = {each["offer"].name for each in page.context["available_actions"]}
    assert offers == {"inquire", "resolve"}
    assert case not in client.get("/admin/helpdesk/case/?status=closed").content.decode()
    stranger = signed_in(staff(platform.elsewhere.vendor_user))
    assert case not in stranger.get("/admin/helpdesk/case/").content.decode()
