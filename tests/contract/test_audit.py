"""The audit log: each write path of API, portal and admin writes exactly one entry."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import DatabaseError, transaction
from django.test import Client
from django.utils import timezone

from portal import sign_in
from requests_queue.catalog import audit, keys
from requests_queue.catalog.models import AuditEntry, Template, User
from requests_queue.queues.fulfillment import creation
from tests import make
from tests.api import Caller, caller
from tests.portal.delivery_rows import attempt, delivery
from tests.pruned import prune_all
from tests.signed_in import signed_in, staff
from webhooks import actions
from webhooks.models import Delivery, Webhook

pytestmark = pytest.mark.django_db

CANARY = "JWT-canary-4d1f8a52-93a1-4f6c-8f5f-0d1c7a0b9e21"
PASSWORD = "a canary of a pass phrase"
ADDRESS = "203.0.113.9"
HOOKS = "/notifications/webhooks"


@dataclass
class World:
    """A webhook with a sent delivery, and everybody who may change it."""

    catalog: make.Catalog
    api: Caller
    vendor: Client
    root: Client
    hook: Webhook
    sent: Delivery
    user: User


@pytest.fixture
def world(settings: Any) -> World:
    # Hash passwords fast.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    catalog = make.catalog()
    administrator = User.objects.create(
        username="root", uid="UR-000-000-001", is_staff=True, is_superuser=True
    )
    hook = make.webhook(catalog, jwt_secret=CANARY, headers={"X-Key": CANARY})
    sent = delivery(hook, "PR-1111-1111-1111-001")
    attempt(sent)
    keys.store(catalog.vendor, "SU-777-000-001:" + "the-secret-of-a-key", "Extension")
    api = caller(catalog.vendor, "SU-777-000-002:" + CANARY)
    catalog.vendor_user.password = make_password(None)
    vendor = signed_in(staff(catalog.vendor_user))
    root = signed_in(administrator)
    for client in (api.client, vendor, root):
        client.defaults["REMOTE_ADDR"] = ADDRESS
    AuditEntry.objects.all()._raw_delete("default")
    return World(catalog, api, vendor, root, hook, sent, catalog.provider_user)


def body(world: World) -> dict[str, Any]:
    return {
        "label": "New",
        "product_id": world.catalog.product.pk,
        "jwt_secret": CANARY,
        "object_class": "fulfillment_request",
        "external_url": "http://127.0.0.1:9/",
        "headers": {"X-Key": CANARY},
    }


def form(**more: Any) -> dict[str, Any]:
    return {
        "label": "Form",
        "description": "",
        "active": "on",
        "external_url": "http://127.0.0.1:9/",
        "http_method": "POST",
        "headers": f'{{"X-Key": "{CANARY}"}}',
        "data": "{}",
        **more,
    }


def new_form(world: World) -> dict[str, Any]:
    product = world.catalog.product.pk
    return form(product=product, kind="event:fulfillment_request", jwt_secret=CANARY)


def edit_form(**more: Any) -> dict[str, Any]:
    return {
        "label": "Hook 1",
        "description": "",
        "active": "on",
        "http_method": "POST",
        "external_url": "http://127.0.0.1:9/",
        "header_name": ["X-Key"],
        "header_value": [CANARY],
        "data": "{}",
        "jwt_secret": "",
        **more,
    }


def user_form(user: User, **more: Any) -> dict[str, Any]:
    prefix = {"token-TOTAL_FORMS": 0, "token-INITIAL_FORMS": 0}
    return {
        "username": user.username,
        "first_name": "",
        "last_name": "",
        "email": user.email,
        "account": user.account_id,
        "is_active": "on",
        **prefix,
        **more,
    }


def key_form() -> dict[str, Any]:
    user = User.objects.get(uid="SU-777-000-001")
    key = {"id": user.token.pk, "user": user.pk, "active": "on", "modules": "Usage"}
    inline = {"token-TOTAL_FORMS": 1, "token-INITIAL_FORMS": 1}
    inline |= {f"token-0-{name}": value for name, value in key.items()}
    return user_form(user, first_name=user.first_name, is_service="on", **inline)


def product_form(world: World, **more: Any) -> dict[str, Any]:
    product = world.catalog.product
    parts = {
        f"{part}-{count}_FORMS": 0
        for part in ("items", "parameters", "templates")
        for count in ("TOTAL", "INITIAL")
    }
    values = {field.name: field.value_from_object(product) for field in product._meta.fields}
    sent = {
        name: json.dumps(value) if isinstance(value, dict | list) else value
        for name, value in values.items()
        if value not in (None, False)
    }
    return {**sent, **parts, **more}


def group(world: World) -> None:
    Group.objects.create(name="Staff")


def two_passwords() -> dict[str, str]:
    return {"password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}


PAGE, USERS = "/admin/webhooks/webhook/", "/admin/catalog/user/"
KEYS, GROUPS = "/admin/catalog/apitoken/", "/admin/auth/group/"


def template(name: str) -> dict[str, Any]:
    return {"name": name, "title": "T", "body": "B", "scope": "asset", "type": "fulfillment"}


def unused_template(world: World) -> None:
    Template.objects.create(
        pk="TL-777-000-001",
        product=world.catalog.product,
        name="Unused",
        created=make.AT,
        updated=make.AT,
    )


def out_of_order(world: World) -> None:
    Webhook.objects.update(out_of_order=True)


def disabled(world: World) -> None:
    Webhook.objects.update(active=False)


def nothing(world: World) -> None:
    pass


Run = Callable[[World], Any]
API, VENDOR, ROOT = "SU-777-000-002", "UR-111-111-001", "UR-000-000-001"
# Name, actor, expected action and changed fields, what is prepared, and the write.
PATHS: dict[str, tuple[str, str, list[str], Run, Run]] = {
    "api create": (API, "webhook.create", [], nothing, lambda w: w.api.post(HOOKS, body(w))),
    "api edit": (API, "webhook.edit", ["jwt_secret", "label"], nothing, lambda w: w.api.put(
        f"{HOOKS}/{w.hook.pk}", {"label": "Renamed", "jwt_secret": f"{CANARY}-2"})),
    "api disable": (API, "webhook.disable", ["active"], nothing, lambda w: w.api.put(
        f"{HOOKS}/{w.hook.pk}", {"active": False})),
    "api trigger": (API, "webhook.trigger", [], nothing, lambda w: w.api.post(
        f"{HOOKS}/{w.hook.pk}/trigger", {})),
    "api delete": (API, "webhook.delete", [], nothing, lambda w: w.api.delete(
        f"{HOOKS}/{w.hook.pk}")),
    "api product": (API, "catalog.create", [], nothing, lambda w: w.api.post(
        "/products", {"name": CANARY})),
    "api product edit": (API, "catalog.edit", ["name"], nothing, lambda w: w.api.put(
        f"/products/{w.catalog.product.pk}", {"name": CANARY, "jwt": CANARY})),
    "api product off sale": (API, "catalog.edit", [], nothing, lambda w: w.api.post(
        f"/products/{w.catalog.product.pk}/endsale", {})),
    "api version": (API, "catalog.create", [], nothing, lambda w: w.api.post(
        f"/products/{w.catalog.product.pk}/versions", {"changes_description": CANARY})),
    "api version edit": (API, "catalog.edit", ["public"], nothing, lambda w: w.api.put(
        f"/products/{w.catalog.product.pk}/versions/1", {"public": False})),
    "api template": (API, "catalog.create", [], nothing, lambda w: w.api.post(
        f"/products/{w.catalog.product.pk}/templates", template(CANARY))),
    "api template edit": (API, "catalog.edit", ["name"], nothing, lambda w: w.api.put(
        f"/products/{w.catalog.product.pk}/templates/{w.catalog.template.pk}",
        {"name": CANARY})),
    "api template delete": (API, "catalog.delete", [], unused_template, lambda w: w.api.delete(
        f"/products/{w.catalog.product.pk}/templates/TL-777-000-001")),
    "portal capabilities": (VENDOR, "catalog.edit", ["capabilities"], nothing,
                            lambda w: w.vendor.post(
        f"/products/{w.catalog.product.pk}/capabilities/", {"group": "usage"})),
    "portal edit": (VENDOR, "webhook.edit", ["label"], nothing, lambda w: w.vendor.post(
        f"/webhooks/{w.hook.pk}/edit/", edit_form(label="Renamed"))),
    "portal trigger": (VENDOR, "webhook.trigger", [], nothing, lambda w: w.vendor.post(
        f"/webhooks/{w.hook.pk}/do/trigger/")),
    "portal disable": (VENDOR, "webhook.disable", ["active"], nothing, lambda w: w.vendor.post(
        f"/webhooks/{w.hook.pk}/do/disable/")),
    "portal enable": (VENDOR, "webhook.enable", ["active"], disabled, lambda w: w.vendor.post(
        f"/webhooks/{w.hook.pk}/do/enable/")),
    "portal recover": (VENDOR, "webhook.recover", [], out_of_order, lambda w: w.vendor.post(
        f"/webhooks/{w.hook.pk}/do/recover/")),
    "portal delete": (VENDOR, "webhook.delete", [], nothing, lambda w: w.vendor.post(
        f"/webhooks/{w.hook.pk}/delete/")),
    "portal reveal": (VENDOR, "webhook.reveal", ["headers", "jwt_secret"], nothing,
                      lambda w: w.vendor.post(f"/webhooks/{w.hook.pk}/secret/")),
    "portal new secret": (VENDOR, "webhook.edit", ["jwt_secret"], nothing, lambda w: w.vendor.post(
        f"/webhooks/{w.hook.pk}/secret/new/", {"revision": 0})),
    "portal headers": (VENDOR, "delivery.reveal", ["headers"], nothing, lambda w: w.vendor.post(
        f"/deliveries/{w.sent.pk}/headers/", {"attempt": 1})),
    "portal curl": (VENDOR, "delivery.reveal", ["headers", "token"], nothing,
                    lambda w: w.vendor.post(f"/deliveries/{w.sent.pk}/curl/", {"attempt": 1})),
    "portal resend": (VENDOR, "delivery.resend", [], nothing, lambda w: w.vendor.post(
        f"/deliveries/{w.sent.pk}/again/", {"attempt": 1})),
    "portal bulk resend": (VENDOR, "delivery.bulk_resend", [], nothing, lambda w: w.vendor.post(
        "/deliveries/again/", {"key": str(uuid.uuid4()), "delivery": [w.sent.pk]})),
    "portal key": (VENDOR, "key.create", [], nothing, lambda w: w.vendor.post(
        "/keys/", {"name": "Deployment", "modules": "all"})),
    "portal modules": (VENDOR, "key.edit", ["modules"], nothing, lambda w: w.vendor.post(
        "/keys/SU-777-000-001/modules/", {"modules": "Usage"})),
    "portal revoke": (VENDOR, "key.revoke", [], nothing, lambda w: w.vendor.post(
        "/keys/SU-777-000-001/revoke/")),
    "portal password": (VENDOR, "user.password", ["password"], nothing, lambda w: w.vendor.post(
        "/password/", {"new_password1": PASSWORD, "new_password2": PASSWORD})),
    "admin create": (VENDOR, "webhook.create", [], nothing, lambda w: w.vendor.post(
        f"{PAGE}add/", new_form(w))),
    "admin edit": (ROOT, "webhook.edit", ["label"], nothing, lambda w: w.root.post(
        f"{PAGE}{w.hook.pk}/change/", form(new_secret=""))),
    "admin reveal": (ROOT, "webhook.reveal", ["headers", "jwt_secret"], nothing,
                     lambda w: w.root.post(f"{PAGE}{w.hook.pk}/secret/")),
    "admin trigger": (ROOT, "webhook.trigger", [], nothing, lambda w: w.root.post(
        f"{PAGE}{w.hook.pk}/do/trigger/")),
    "admin bulk": (ROOT, "webhook.disable", ["active"], nothing, lambda w: w.root.post(
        PAGE, {"action": "disable", "_selected_action": [w.hook.pk]})),
    "admin delete": (ROOT, "webhook.delete", [], nothing, lambda w: w.root.post(
        f"{PAGE}{w.hook.pk}/delete/", {"post": "yes"})),
    "admin bulk delete": (ROOT, "webhook.delete", [], nothing, lambda w: w.root.post(PAGE, {
        "action": "delete_selected", "_selected_action": [w.hook.pk], "post": "yes"})),
    "admin user": (ROOT, "user.create", [], nothing, lambda w: w.root.post(
        f"{USERS}add/", {"username": "new", "email": "", "account": "", **two_passwords()})),
    "admin user edit": (ROOT, "user.edit", ["first_name"], nothing, lambda w: w.root.post(
        f"{USERS}{w.user.pk}/change/", user_form(w.user, first_name="Ada"))),
    "admin user password": (ROOT, "user.password", ["password"], nothing, lambda w: w.root.post(
        f"{USERS}{w.user.pk}/password/", two_passwords())),
    "admin user delete": (ROOT, "user.delete", [], nothing, lambda w: w.root.post(
        f"{USERS}{w.user.pk}/delete/", {"post": "yes"})),
    "admin users delete": (ROOT, "user.delete", [], nothing, lambda w: w.root.post(USERS, {
        "action": "delete_selected", "_selected_action": [w.user.pk], "post": "yes"})),
    "admin key": (ROOT, "key.edit", ["active", "modules", "name"], nothing, lambda w: w.root.post(
        f"{KEYS}{User.objects.get(uid='SU-777-000-001').token.pk}/change/",
        {"name": "Renamed", "modules": ["Usage", "Products"]})),
    "admin key of a user": (ROOT, "key.edit", ["modules"], nothing, lambda w: w.root.post(
        f"{USERS}{User.objects.get(uid='SU-777-000-001').pk}/change/", key_form())),
    "admin product": (ROOT, "admin.create", [], nothing, lambda w: w.root.post(
        "/admin/catalog/product/add/", product_form(w))),
    "admin product edit": (ROOT, "admin.edit", ["name"], nothing, lambda w: w.root.post(
        f"/admin/catalog/product/{w.catalog.product.pk}/change/",
        product_form(w, name="Renamed"))),
    "admin group": (ROOT, "admin.create", [], nothing, lambda w: w.root.post(
        f"{GROUPS}add/", {"name": "Support"})),
    "admin group edit": (ROOT, "admin.edit", ["name"], group, lambda w: w.root.post(
        f"{GROUPS}{Group.objects.get().pk}/change/", {"name": "Renamed"})),
    "admin group delete": (ROOT, "admin.delete", [], group, lambda w: w.root.post(
        f"{GROUPS}{Group.objects.get().pk}/delete/", {"post": "yes"})),
    "admin groups delete": (ROOT, "admin.delete", [], group, lambda w: w.root.post(GROUPS, {
        "action": "delete_selected", "_selected_action": [Group.objects.get().pk],
        "post": "yes"})),
    "first steps": (VENDOR, "key.reveal", [], nothing, lambda w: w.vendor.post(
        "/home/reveal/")),
    "link": (VENDOR, "sign_in", [], nothing, lambda w: client().get(
        sign_in.link(w.catalog.vendor_user))),
    "password": (VENDOR, "sign_in", [], lambda w: with_password(w.catalog.vendor_user),
                 lambda w: client().post("/sign-in/", {"username": "vendor1",
                                                       "password": PASSWORD})),
    "sign-out": (VENDOR, "sign_out", [], nothing, lambda w: w.vendor.post("/sign-out/")),
    "wrong password": ("", "sign_in.failed", [], nothing, lambda w: client().post(
        "/sign-in/", {"username": "vendor1", "password": PASSWORD})),
    "admin sign-in": ("", "sign_in.failed", [], nothing, lambda w: client().post(
        "/admin/login/", {"username": PASSWORD, "password": PASSWORD})),
}  # fmt: skip


def client() -> Client:
    return Client(REMOTE_ADDR=ADDRESS)


def with_password(user: User) -> None:
    user.set_password(PASSWORD)
    user.save()
    AuditEntry.objects.all()._raw_delete("default")


@pytest.mark.parametrize("name", PATHS)
def test_write_path_writes_one_entry(world: World, name: str) -> None:
    actor, action, fields, prepare, run = PATHS[name]
    prepare(world)
    response = run(world)
    [entry] = AuditEntry.objects.all()
    assert (entry.action, entry.actor, entry.fields) == (action, actor, fields), response
    assert entry.address == ADDRESS
    assert entry.object_type and (entry.object_id or action == "sign_in.failed")
    stored = repr(list(AuditEntry.objects.values()))
    assert CANARY not in stored and PASSWORD not in stored


def test_renewed_hash_of_a_password_is_not_recorded(world: World, settings: Any) -> None:
    with_password(world.catalog.vendor_user)
    old = User.objects.get(username="vendor1").password
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher",
        *settings.PASSWORD_HASHERS,
    ]
    client().post("/sign-in/", {"username": "vendor1", "password": PASSWORD})
    user = User.objects.get(username="vendor1")
    assert user.password != old and user.check_password(PASSWORD)
    assert [entry.action for entry in AuditEntry.objects.all()] == ["sign_in"]


def test_every_action_has_a_test() -> None:
    elsewhere = {"queue.bulk", "sign_in.limited"}
    assert {action for _, action, *_ in PATHS.values()} | elsewhere == set(audit.Action)


def test_wizard_writes_one_entry(world: World) -> None:
    from tests.portal.webhooks import send, walk

    path = walk(world.vendor, world.catalog, "data")
    send(world.vendor, path, "create", data="{}")
    [entry] = AuditEntry.objects.all()
    assert (entry.action, entry.account) == ("webhook.create", world.catalog.vendor.pk)


def test_refused_change_writes_no_entry(world: World) -> None:
    assert world.api.put(f"{HOOKS}/{world.hook.pk}", {"label": ""}).status == 400
    assert world.api.post(f"{HOOKS}/WH-000-000-000/trigger", {}).status == 404
    disabled(world)
    assert world.api.post(f"{HOOKS}/{world.hook.pk}/trigger", {}).status == 400
    world.vendor.post(f"/webhooks/{world.hook.pk}/do/recover/")
    assert world.api.put(f"/products/{world.catalog.product.pk}", {"name": ""}).status == 400
    assert world.api.delete(f"/products/{world.catalog.product.pk}").status == 400
    assert world.api.post("/products/PRD-000-000-000/endsale", {}).status == 404
    assert not AuditEntry.objects.exists()


def test_entry_is_rolled_back_with_its_change(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a change without its entry: the database refuses the entry here."""
    with pytest.raises(DatabaseError), transaction.atomic():
        actions.edit(world.hook.pk, world.user, {"label": "Renamed"})
        assert AuditEntry.objects.count() == 1
        raise DatabaseError
    assert not AuditEntry.objects.exists()
    monkeypatch.setattr(audit, "_address", lambda: None)
    for change in (
        lambda: actions.edit(world.hook.pk, world.user, {"label": "Renamed"}),
        lambda: actions.trigger(world.hook, world.user),
        lambda: actions.delete(world.hook.pk),
        lambda: actions.create(world.catalog.vendor, world.user, {"label": "New"}),
        lambda: keys.revoke("SU-777-000-001"),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()
    hook = Webhook.objects.get()
    assert (hook.label, hook.events) == (world.hook.label, 0)
    assert keys.owner("SU-777-000-001:the-secret-of-a-key") is not None


def test_limited_sign_in_is_recorded_once_a_minute(world: World) -> None:
    for _ in range(9):
        client().post("/sign-in/", {"username": "vendor1", "password": PASSWORD})
    recorded = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
    assert recorded == ["sign_in.failed"] * 5 + ["sign_in.limited"]
    assert AuditEntry.objects.first().address == ADDRESS


def test_commands_are_recorded_without_actor(world: World) -> None:
    call_command("apikey", world.catalog.vendor.pk)
    call_command("apikey", revoke="SU-777-000-001")
    assert list(AuditEntry.objects.values_list("action", "actor", "address")) == [
        ("key.revoke", "", ""),
        ("key.create", "", ""),
    ]


def test_same_key_stored_again_is_not_recorded(world: World) -> None:
    keys.store(world.catalog.vendor, "SU-777-000-001:the-secret-of-a-key", "Extension")
    assert not AuditEntry.objects.exists()
    keys.store(world.catalog.vendor, "SU-777-000-001:another-secret", "Extension")
    assert AuditEntry.objects.get().fields == ["digest"]


def test_queue_actions_of_several_objects_are_recorded(world: World) -> None:
    pks = [
        creation.create(make.purchase(world.catalog), world.catalog.as_distributor).pk
        for _ in range(4)
    ]
    AuditEntry.objects.all()._raw_delete("default")
    bulk, changelist = "/queues/fulfillment/bulk/", "/admin/fulfillment/request/"
    world.vendor.post(bulk, {"selected": "approve", "pk": ["PR-0"]})
    assert not AuditEntry.objects.exists()
    world.vendor.post(bulk, {"selected": "approve", "pk": pks[:2]})
    selected = {"action": "move_approve", "_selected_action": pks, "confirmed": "yes"}
    world.root.post(changelist, selected)
    entries = AuditEntry.objects.order_by("pk")
    assert [(entry.action, entry.object_id, entry.actor) for entry in entries] == [
        ("queue.bulk", "approve", VENDOR),
        ("queue.bulk", "approve", ROOT),
    ]


LOG = "/admin/catalog/auditentry/"


def test_only_administrators_see_the_log(world: World) -> None:
    world.vendor.post("/keys/", {"name": "Deployment", "modules": "all"})
    entry = AuditEntry.objects.get()
    shown = world.root.get(LOG).content.decode()
    assert "key.create" in shown and ADDRESS in shown and VENDOR in shown
    assert world.root.get(f"{LOG}{entry.pk}/change/").status_code == 200
    for query, count in (
        (f"q={VENDOR}&action=key.create", 1),
        ("action=key.revoke", 0),
        ("q=UR-1", 0),
    ):
        assert len(world.root.get(f"{LOG}?{query}").context["cl"].result_list) == count, query
    other = signed_in(staff(world.catalog.provider_user))
    for browser in (world.vendor, other):
        assert browser.get(LOG).status_code == 403
        assert browser.get(f"{LOG}{entry.pk}/change/").status_code in (302, 403)
        assert "auditentry" not in browser.get("/admin/").content.decode()
    assert Client().get(LOG).status_code == 302


def test_nobody_changes_or_deletes_an_entry(world: World) -> None:
    world.vendor.post("/keys/", {"name": "Deployment", "modules": "all"})
    entry = AuditEntry.objects.get()
    assert world.root.get(f"{LOG}add/").status_code == 403
    one = f"{LOG}{entry.pk}"
    for path, data in (
        (f"{one}/change/", {"actor": "UR-1"}),
        (f"{one}/delete/", {"post": "yes"}),
        (LOG, {"action": "delete_selected", "_selected_action": [entry.pk], "post": "yes"}),
    ):
        world.root.post(path, data)
    assert AuditEntry.objects.filter(pk=entry.pk, actor=VENDOR).exists()
    for change in (entry.save, entry.delete):
        with pytest.raises(TypeError, match="audit log"):
            change()


def test_old_entries_are_removed_by_age(world: World, settings: Any) -> None:
    for _ in range(2):
        world.api.post(f"{HOOKS}/{world.hook.pk}/trigger", {})
    old = AuditEntry.objects.earliest("pk")
    AuditEntry.objects.filter(pk=old.pk).update(at=timezone.now() - timedelta(days=366))
    settings.SIM_KEEP_AUDIT_DAYS = 0
    assert prune_all()["audit entries"] == 0
    settings.SIM_KEEP_AUDIT_DAYS = 365
    assert prune_all()["audit entries"] == 1
    assert old not in AuditEntry.objects.all() and AuditEntry.objects.count() == 1


def test_entries_outlive_what_they_are_about(world: World) -> None:
    world.api.post(f"{HOOKS}/{world.hook.pk}/trigger", {})
    world.catalog.vendor.users.all().delete()
    assert AuditEntry.objects.get().actor == API
