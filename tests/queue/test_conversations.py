"""Conversations: messages of actions and of both parties, and visibility."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from requests_queue import seed
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Account
from requests_queue.conversations import writing
from requests_queue.conversations.models import Conversation, Message, label, number_of
from requests_queue.errors import ActionNotAllowed
from requests_queue.queues import base, transitions
from requests_queue.queues.fulfillment.models import Request
from tests import make
from tests.api import Caller, caller, ids, refused
from tests.background import concurrently
from tests.queue.platforms import undone

pytestmark = pytest.mark.django_db

DRAFTS = {"cart": {"validation": True}}
ABSENT = "CO-999-999-999"


@pytest.fixture
def catalog() -> make.Catalog:
    return make.catalog(capabilities=DRAFTS)


@pytest.fixture
def author(catalog: make.Catalog) -> Caller:
    """The vendor of the catalog of this module."""
    return caller(catalog.vendor)


@pytest.fixture
def partner(catalog: make.Catalog) -> Caller:
    """Its provider."""
    return caller(catalog.provider)


def of(row: Any) -> Conversation:
    return Conversation.objects.get(instance_id=row.pk)


def messages(row: Any) -> list[tuple[str, str, str | None, str | None]]:
    return [
        (m.type, m.text, m.creator and m.creator.uid, m.account_id)
        for m in Message.objects.filter(conversation__instance_id=row.pk).order_by("pk")
    ]


@pytest.fixture
def path(catalog: make.Catalog) -> str:
    """The conversation of a request."""
    return f"/conversations/{of(make.order(catalog)).shown_id}"


# -- messages of actions


def test_creation_and_status_changes_are_in_the_conversation(catalog: make.Catalog) -> None:
    row = make.order(catalog)
    transitions.move(Request, row.pk, "approve", catalog.as_vendor, {})
    assert messages(row) == [
        (
            "state_change",
            "Created in status pending.",
            catalog.provider_user.uid,
            catalog.provider.pk,
        ),
        (
            "state_change",
            "Status changed from pending to approved.",
            catalog.vendor_user.uid,
            catalog.vendor.pk,
        ),
    ]
    held = of(row)
    assert {a.pk for a in held.accounts.all()} == {catalog.vendor.pk, catalog.provider.pk}
    assert (held.creator, held.topic) == (catalog.provider_user, f"Fulfillment request {row.pk}")
    assert Conversation.objects.count() == 1


def test_refused_action_writes_no_message(catalog: make.Catalog) -> None:
    row = make.order(catalog)
    before = messages(row)
    vendor, distributor = catalog.as_vendor, catalog.as_distributor
    for name, actor in (("approve", distributor), ("fail", vendor), ("confirm", vendor)):
        with pytest.raises(Exception, match=r"."):
            transitions.move(Request, row.pk, name, actor, {})
    assert messages(row) == before


def test_rolled_back_change_writes_no_message(catalog: make.Catalog) -> None:
    row = make.order(catalog)
    with undone():
        transitions.move(Request, row.pk, "approve", catalog.as_vendor, {})
    assert len(messages(row)) == 1


def test_draft_has_no_conversation_before_its_event(catalog: make.Catalog) -> None:
    row = make.order(catalog, status="draft")
    assert row.status == "draft"
    assert not Conversation.objects.exists()
    transitions.move(Request, row.pk, "purchase", catalog.as_distributor)
    assert messages(row)[0][:2] == ("state_change", "Status changed from draft to pending.")


def test_messages_about_platform_actions_have_no_creator(
    catalog: make.Catalog, author: Caller
) -> None:
    row = make.order(catalog)
    transitions.move(Request, row.pk, "schedule", catalog.as_vendor, {"planned_date": "2099-01-01"})
    transitions.move(Request, row.pk, "pend", Actor())
    last = author.get(f"/conversations/{of(row).shown_id}").json["messages"][-1]
    assert last["text"] == "Status changed from scheduled to pending."
    assert last["creator"]["name"] == "Connect" and "account" not in last


def test_change_without_a_new_status_writes_no_message(catalog: make.Catalog) -> None:
    row = make.order(catalog)
    with transaction.atomic():
        transitions.emit_unchanged(row, make.AT)
    assert len(messages(row)) == 1


@pytest.mark.parametrize("queue", base.registered(), ids=lambda q: q.object_class)
def test_each_queue_has_conversations_for_its_parties(seeded: seed.Summary, queue: Any) -> None:
    assert queue.sample
    for kind in queue.types or ("",):
        row = queue.sample(kind, None, None)
        if row.status in queue.silent_statuses:
            continue
        held = of(row)
        assert {a.pk for a in held.accounts.all()} == set(row.parties())
        assert held.messages.filter(type="state_change").exists()
        for account in Account.objects.all():
            visible = Conversation.visible_to(account).filter(pk=held.pk).exists()
            assert visible == queue.model.visible_to(account).filter(pk=row.pk).exists()


def test_creation_takes_three_statements_and_an_action_two(catalog: make.Catalog) -> None:
    def ours_of(statements: CaptureQueriesContext) -> list[str]:
        return [s["sql"] for s in statements if "conversations_" in s["sql"]]

    with CaptureQueriesContext(connection) as on_creation:
        row = make.order(catalog)
    with CaptureQueriesContext(connection) as move:
        transitions.move(Request, row.pk, "approve", catalog.as_vendor, {})
    assert (len(ours_of(on_creation)), len(ours_of(move))) == (3, 2)


def test_reused_identifier_continues_the_conversation(catalog: make.Catalog) -> None:
    row = make.order(catalog)
    Request.objects.filter(pk=row.pk).delete()
    row.save(force_insert=True)
    change = transitions.Change(
        "fulfillment_request", row.pk, catalog.product.pk, row.parties(), None, "pending", make.AT
    )
    writing.tell(change)
    assert Conversation.objects.count() == 1
    assert len(messages(row)) == 2


# -- reading


def test_a_client_finds_the_conversation_of_a_request(
    catalog: make.Catalog, author: Caller
) -> None:
    row, other = make.order(catalog), make.order(catalog)
    [conversation] = author.get(f"/conversations?instance_id={row.pk}").json
    assert conversation == {
        "id": of(row).shown_id,
        "instance_id": row.pk,
        "topic": f"Fulfillment request {row.pk}",
        "type": "conversation",
        "status": "open",
        "accounts": conversation["accounts"],
        "creator": conversation["creator"],
        "created": conversation["events"]["created"]["at"],
        "events": {"created": {"at": conversation["created"], "by": conversation["creator"]}},
    }
    assert {a["id"] for a in conversation["accounts"]} == {catalog.vendor.pk, catalog.provider.pk}
    assert conversation["creator"]["id"] == catalog.provider_user.uid
    detail = author.get(f"/conversations/{conversation['id']}").json
    assert [m["text"] for m in detail.pop("messages")] == ["Created in status pending."]
    assert detail == conversation
    assert ids(author, "/conversations") == [of(other).shown_id, of(row).shown_id]


def test_filters_of_conversations(catalog: make.Catalog, author: Caller) -> None:
    row, other = make.order(catalog), make.order(catalog)
    # The first may be of the second before.
    Conversation.objects.update(created=of(other).created)
    one, two = of(row).shown_id, of(other).shown_id
    assert author.post(f"/conversations/{two}/close").status == 200
    for query, expected in (
        (f"id={one}", [one]),
        (f"in(id,({one},{two}))", [two, one]),
        (f"ne(id,{one})", [two]),
        (f"out(id,({one}))", [two]),
        ("id=CO-1", []),
        (f"id={one[3:]}", []),
        ("id=1", []),
        (f"in(instance_id,({row.pk}))", [one]),
        (f"eq(instance_id,{row.pk})&limit=1", [one]),
        ("status=open", [one]),
        ("eq(status,closed)", [two]),
        ("type=conversation", [two, one]),
        ("type=notes", []),
        ("ordering(id)", [one, two]),
        ("ordering(-events.created.at,id)", [one, two]),
        (f"creator.id={catalog.provider_user.uid}", [two, one]),
        (f"events.updated.by.id={catalog.vendor_user.uid}", []),
        (f"like(topic,*{row.pk}*)", [one]),
        ("ge(created,2020-01-01)", [two, one]),
        ("lt(events.created.at,2020-01-01)", []),
        ("select(-events)", [two, one]),
    ):
        assert ids(author, f"/conversations?{query}") == expected, query
    assert "events" not in author.get("/conversations?select(-events)").json[0]
    assert author.get("/conversations?limit=1").headers["Content-Range"] == "items 0-0/2"
    refused(author.get("/conversations?nothing=1"), 400, "Unknown property: nothing.")


def test_filters_of_messages(catalog: make.Catalog, author: Caller, partner: Caller) -> None:
    path = f"/conversations/{of(make.order(catalog)).shown_id}/messages"
    greeting = author.post(path, {"text": "Hello"}).json
    reply = partner.post(path, {"text": "Good day", "type": "message"}).json
    first = ids(author, path)[0]
    for query, expected in (
        ("", [first, greeting["id"], reply["id"]]),
        ("type=message", [greeting["id"], reply["id"]]),
        ("eq(type,state_change)", [first]),
        (f"id={greeting['id']}", [greeting["id"]]),
        ("text=Hello", [greeting["id"]]),
        ("like(text,*day*)", [reply["id"]]),
        (f"account.id={catalog.provider.pk}", [first, reply["id"]]),
        (f"events.created.by.id={greeting['creator']['id']}", [greeting["id"]]),
        ("ordering(-id)", [reply["id"], greeting["id"], first]),
        ("id=ME-1", []),
    ):
        assert ids(author, f"{path}?{query}") == expected, query
    assert author.get(f"{path}?limit=1&offset=1").headers["Content-Range"] == "items 1-1/3"
    assert "events" not in author.get(f"{path}?select(-events)").json[0]


def test_longer_lists_take_no_more_statements(catalog: make.Catalog, author: Caller) -> None:
    make.order(catalog)
    pk = of(make.order(catalog)).shown_id

    def statements(path: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert author.get(path).status == 200
        return len(queries)

    paths = ["/conversations", f"/conversations/{pk}", f"/conversations/{pk}/messages"]
    before = [statements(path) for path in paths]
    for _ in range(3):
        make.order(catalog)
        author.post(f"{paths[1]}/messages", {"text": "Still at it."})
    assert [statements(path) for path in paths] == before
    assert max(before) <= 6


# -- writing


def test_message_belongs_to_the_caller(
    catalog: make.Catalog, author: Caller, partner: Caller, path: str
) -> None:
    response = author.post(f"{path}/messages", {"text": "Log: done.", "type": "message"})
    assert (response.status, response.json["account"]["id"]) == (201, catalog.vendor.pk)
    assert response.json["conversation"] == path.rpartition("/")[2]
    assert partner.get(path).json["messages"][-1] == response.json
    plain = partner.post(f"{path}/messages/", {"text": "Thank you."})
    assert (plain.status, plain.json["type"]) == (201, "message")


def test_private_messages_are_visible_to_the_authors_account(
    author: Caller, partner: Caller, path: str
) -> None:
    created = author.post(f"{path}/messages", {"text": "For us.", "type": "private"}).json
    assert created["id"] in ids(author, f"{path}/messages")
    assert author.get(path).json["messages"][-1]["text"] == "For us."
    assert created["id"] not in ids(partner, f"{path}/messages")
    assert len(partner.get(path).json["messages"]) == 1
    assert partner.get(f"{path}/messages?type=private").headers["Content-Range"] == "items 0-0/0"
    refused(partner.put(f"{path}/messages/{created['id']}", {"text": "x"}), 404)


def test_authors_edit_their_messages(
    catalog: make.Catalog, author: Caller, partner: Caller
) -> None:
    path = f"/conversations/{of(make.order(catalog)).shown_id}/messages"
    change = ids(author, path)[0]
    created = author.post(path, {"text": "Onne."}).json
    fixed = author.put(f"{path}/{created['id']}", {**created, "text": "One."})
    assert (fixed.status, fixed.json["text"]) == (200, "One.")
    assert fixed.json["events"]["updated"]["by"]["id"] == created["creator"]["id"]
    refused(partner.put(f"{path}/{created['id']}", {"text": "Two."}), 403)
    refused(partner.put(f"{path}/{change}", {"text": "It was not me."}), 403)
    refused(author.put(f"{path}/ME-999-999-999", {"text": "x"}), 404)
    hidden = author.put(f"{path}/{created['id']}", {"type": "private"})
    assert (hidden.status, hidden.json["text"]) == (200, "One.")
    assert created["id"] not in ids(partner, path)


def test_closed_conversation_accepts_no_messages(
    catalog: make.Catalog, author: Caller, partner: Caller
) -> None:
    row = make.order(catalog)
    path = f"/conversations/{of(row).shown_id}"
    created = author.post(f"{path}/messages", {"text": "Bye."}).json
    closed = partner.post(f"{path}/close")
    assert (closed.status, closed.json["status"]) == (200, "closed")
    assert closed.json["events"]["updated"]["by"]["id"]
    for response in (
        author.post(f"{path}/close"),
        author.post(f"{path}/messages", {"text": "And yet"}),
        author.put(f"{path}/messages/{created['id']}", {"text": "Bye!"}),
    ):
        refused(response, 400)
    transitions.move(Request, row.pk, "approve", catalog.as_vendor, {})
    assert author.get(path).json["messages"][-1]["text"].endswith("to approved.")


def test_invalid_messages_are_refused(catalog: make.Catalog, author: Caller) -> None:
    path = f"/conversations/{of(make.order(catalog)).shown_id}/messages"
    for body, message in (
        (None, "text: This field is required."),
        ({}, "text: This field is required."),
        ({"text": "  "}, "text: This field is required."),
        ({"text": 7}, "text: Not a valid string."),
        ({"text": ["a"]}, "text: Not a valid string."),
        ({"text": "x" * 10_001}, "text: Ensure this field has no more than 10000 characters."),
        ({"text": "a", "type": "shout"}, 'type: "shout" is not a valid choice.'),
        ({"text": "a", "type": {}}, 'type: "{}" is not a valid choice.'),
    ):
        refused(author.post(path, body), 400, message)
    refused(author.post(path, '{"text": "\\u0000"}'), 400)
    refused(author.post(path, "[]"), 400)
    assert Message.objects.count() == 1


def test_draft_can_have_a_conversation(
    catalog: make.Catalog, author: Caller, partner: Caller
) -> None:
    row = make.order(catalog, status="draft")
    body = {"instance_id": row.pk, "topic": "Prices", "accounts": [{"id": "VA-000-000"}]}
    created = partner.post("/conversations", body)
    assert (created.status, created.json["topic"], created.json["messages"]) == (201, "Prices", [])
    again = partner.post("/conversations", body)
    assert (again.status, again.json["params"]) == (409, {"conversation_id": created.json["id"]})
    transitions.move(Request, row.pk, "purchase", catalog.as_distributor)
    assert len(author.get(f"/conversations/{created.json['id']}").json["messages"]) == 1
    for wrong in (
        {},
        {"instance_id": "PR-0"},
        {"instance_id": 7},
        {"instance_id": []},
        {"instance_id": row.pk, "type": "notes"},
        {"instance_id": row.pk, "topic": "x" * 101},
    ):
        refused(partner.post("/conversations", wrong), 400)


# -- visibility


def test_unknown_paths_return_404(vendor: Caller, nobody: Caller) -> None:
    pk = ids(vendor, "/conversations")[0]
    for wrong in (
        ABSENT,
        "CO-1",
        pk[3:],
        "nothing",
        "CO-" + "9" * 40,
        f"ME{pk[2:]}",
        "CO-000-" + pk[3:],
    ):
        refused(vendor.get(f"/conversations/{wrong}"), 404)
        refused(vendor.get(f"/conversations/{wrong}/messages"), 404)
    refused(nobody.get("/conversations"), 401)
    refused(nobody.post(f"/conversations/{pk}/messages", {"text": "x"}), 401)


def test_a_message_of_another_conversation_is_not_found(
    catalog: make.Catalog, author: Caller
) -> None:
    one, two = (f"/conversations/{of(make.order(catalog)).shown_id}/messages" for _ in range(2))
    pk = author.post(one, {"text": "Here."}).json["id"]
    refused(author.put(f"{two}/{pk}", {"text": "There."}), 404)


@pytest.mark.parametrize("number", [1, 42, 999_999_999, 1_000_000_000, 10**17])
def test_identifiers_are_converted_to_numbers(number: int) -> None:
    assert number_of("CO", label("CO", number)) == number
    assert number_of("ME", label("CO", number)) == 0


# -- concurrency


@pytest.mark.django_db(transaction=True)
def test_message_and_close_at_the_same_time(catalog: make.Catalog) -> None:
    pk = of(make.order(catalog)).pk
    close = partial(writing.close, pk, catalog.as_vendor)
    posts = [partial(writing.post, pk, {"text": text}, catalog.as_distributor) for text in "abcd"]
    refused = [isinstance(each, ActionNotAllowed) for each in concurrently(close, close, *posts)]
    assert sorted(refused[:2]) == [False, True]
    texts = Message.objects.filter(type="message").values_list("text", flat=True)
    assert sorted(texts) == [text for text, no in zip("abcd", refused[2:], strict=True) if not no]


@pytest.mark.django_db(transaction=True)
def test_concurrent_messages_create_one_conversation(catalog: make.Catalog) -> None:
    row = make.order(catalog, status="draft")

    def ensure() -> None:
        with transaction.atomic():
            writing.ensure(row.pk, "x", row.parties(), None, make.AT)

    concurrently(*[ensure] * 4)
    assert of(row).accounts.count() == 2


# -- the admin


def _signed_in(account: Account | None, n: int) -> Client:
    user = get_user_model().objects.create(
        username=f"staff{n}",
        uid=f"UR-999-000-{n:03d}",
        account=account,
        is_staff=True,
        is_superuser=account is None,
    )
    client = Client()
    client.force_login(user)
    return client


def test_admin_shows_only_own_conversations(catalog: make.Catalog, author: Caller) -> None:
    row = make.order(catalog)
    held = of(row)
    body = {"text": "Only <b>ours</b>", "type": "private"}
    assert author.post(f"/conversations/{held.shown_id}/messages", body).status == 201
    listed = "/admin/conversations/conversation/"
    page = f"{listed}{held.pk}/change/"
    everybody, own, partner = (
        _signed_in(account, n) for n, account in enumerate((None, catalog.vendor, catalog.provider))
    )
    stranger = _signed_in(make.catalog("7").vendor, 7)
    for client in (everybody, own, partner):
        assert held.shown_id in client.get(listed).content.decode()
        html = client.get(page).content.decode()
        assert ("Only &lt;b&gt;ours" in html) == (client is not partner)
        assert "_save" not in html
        assert client.post(page, {"status": "closed"}).status_code == 403
    assert held.shown_id not in stranger.get(listed).content.decode()
    assert stranger.get(page).status_code == 302
