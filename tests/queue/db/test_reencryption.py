"""Several keys in SIM_ENCRYPTION_KEY, and `manage.py reencrypt`."""

from __future__ import annotations

import io
from itertools import islice
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.test import override_settings
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from requests_queue.catalog.models import Product
from requests_queue.db import encryption, reencryption
from tests import make
from tests.hypothesis_profiles import examples
from tests.queue.platforms import undone
from webhooks.models import Webhook

OLD, NEW = "old-key-" + "0123456789" * 3, "new-key-" + "9876543210" * 3
CANARY = "JWT-canary-8c4e3c1e-0c55-4f1b-9d0f-0d2b4e6a7c11"
pytestmark = pytest.mark.django_db


def with_keys(*keys: str) -> Any:
    return override_settings(SIM_ENCRYPTION_KEY=",".join(keys))


def column(name: str) -> reencryption.Column:
    return next(each for each in reencryption.columns() if str(each) == name)


def run(**options: Any) -> tuple[str, str]:
    """Return what the command prints, with the message of its failure."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("reencrypt", stdout=out, stderr=err, **options)
    except CommandError as error:
        err.write(str(error))
    return out.getvalue(), err.getvalue()


@pytest.fixture
def hooks() -> list[Webhook]:
    """Three webhooks of the old key: one is deleted, one has no headers."""
    with with_keys(OLD):
        catalog = make.catalog()
        return [
            make.webhook(catalog, n=1, jwt_secret=CANARY, headers={"X-Key": CANARY}),
            make.webhook(catalog, n=2, jwt_secret=CANARY, deleted_at=timezone.now()),
            make.webhook(catalog, n=3, jwt_secret=CANARY),
        ]


def test_encrypted_columns_are_found_by_their_fields() -> None:
    assert {str(each) for each in reencryption.columns()} >= {
        "webhooks.Webhook.jwt_secret",
        "webhooks.Webhook.headers",
        "webhooks.Resend.headers",
        "webhooks.Attempt.request_headers",
        "catalog.Product.stored_action_secret",
    }


def test_first_key_encrypts_and_each_decrypts() -> None:
    with with_keys(OLD):
        stored = encryption.encrypt(CANARY)
    with with_keys(NEW):
        assert encryption.decrypt(stored) == ""
    with with_keys(NEW, OLD):
        assert encryption.decrypt(stored) == CANARY
        newer = encryption.encrypt(CANARY)
    with with_keys(NEW):
        assert encryption.decrypt(newer) == CANARY


def test_key_with_commas_of_an_older_version_still_decrypts() -> None:
    whole = encryption._boxes("a key, with commas")[-1].encrypt(CANARY.encode()).decode()
    with with_keys(NEW, "a key, with commas"):
        assert encryption.decrypt(whole) == ""
    with with_keys("a key, with commas"):
        assert encryption.decrypt(whole) == CANARY


def test_command_reencrypts_all_rows_with_the_first_key(hooks: list[Webhook]) -> None:
    with with_keys(NEW, OLD):
        dry = run(dry_run=True)[0]
        assert "webhooks.Webhook.jwt_secret: 3 to re-encrypt, 0 current" in dry
        assert run(dry_run=True)[0] == dry
        done, errors = run()
        assert "webhooks.Webhook.headers: 3 re-encrypted, 0 current" in done and not errors
        assert "webhooks.Webhook.headers: 0 re-encrypted, 3 current" in run()[0]
    with with_keys(NEW):
        assert {hook.jwt_secret for hook in Webhook.with_deleted.all()} == {CANARY}
        assert Webhook.objects.get(pk=hooks[0].pk).headers == {"X-Key": CANARY}
        assert encryption.decrypt(Product.objects.get().stored_action_secret).startswith("JWT-")


def test_row_without_its_key_is_named_and_the_others_are_reencrypted(
    hooks: list[Webhook],
) -> None:
    with with_keys("third-key-" + OLD):
        Webhook.objects.filter(pk=hooks[2].pk).update(jwt_secret=CANARY)
    with with_keys(NEW, OLD):
        done, errors = run()
        assert "webhooks.Webhook.jwt_secret: 2 re-encrypted, 0 current" in done
        assert f"Webhook {hooks[2].pk}: jwt_secret cannot be decrypted" in errors
        assert "Rows that cannot be decrypted: 1." in errors
        assert CANARY not in done + errors


def test_check_names_rows_that_no_key_decrypts(hooks: list[Webhook]) -> None:
    def warnings() -> list[str]:
        checked = run_checks(tags=["database"], databases=["default"])
        return [each.msg for each in checked if each.id == "connect_sim.W013"]

    with with_keys(NEW, OLD):
        assert warnings() == []
    with with_keys(NEW):
        shown = warnings()
        assert len(shown) == 3 and hooks[2].pk in "".join(shown)
        assert CANARY not in "".join(shown)


@pytest.mark.parametrize("error", [OperationalError("canceled"), KeyboardInterrupt()], ids=type)
def test_interrupted_command_ends_with_one_line(
    hooks: list[Webhook], monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    original, calls = encryption.reencrypt, iter([None, error])

    def fail_at_second(stored: str) -> str | None:
        if failure := next(calls, None):
            raise failure
        return original(stored)

    monkeypatch.setattr(encryption, "reencrypt", fail_at_second)
    with with_keys(NEW, OLD):
        _, errors = run()
        assert "Run the command again" in errors and "\n" not in errors
        assert not run()[1]
        assert all(" 0 to re-encrypt" in line for line in run(dry_run=True)[0].splitlines())


@pytest.mark.parametrize("edit_key", [NEW, OLD])
def test_edit_between_read_and_update_is_kept(
    hooks: list[Webhook], monkeypatch: pytest.MonkeyPatch, edit_key: str
) -> None:
    """An edit by a process that already has the new key, and by one that has the old one."""
    original, edits = encryption.reencrypt, iter(["edited"])

    def reencrypt_late(stored: str) -> str | None:
        for edit in edits:
            with with_keys(edit_key):
                Webhook.objects.filter(pk=hooks[0].pk).update(jwt_secret=edit)
        return original(stored)

    monkeypatch.setattr(encryption, "reencrypt", reencrypt_late)
    with with_keys(NEW, OLD):
        *_, count = reencryption.reencrypt(column("webhooks.Webhook.jwt_secret"))
        assert (count.replaced, count.current) == ((2, 1) if edit_key == NEW else (3, 0))
    with with_keys(NEW):
        assert Webhook.objects.get(pk=hooks[0].pk).jwt_secret == "edited"


def test_row_deleted_between_read_and_update_is_skipped(
    hooks: list[Webhook], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = encryption.reencrypt

    def reencrypt_late(stored: str) -> str | None:
        Webhook.objects.filter(pk=hooks[0].pk).delete()
        return original(stored)

    monkeypatch.setattr(encryption, "reencrypt", reencrypt_late)
    with with_keys(NEW, OLD):
        *_, count = reencryption.reencrypt(column("webhooks.Webhook.jwt_secret"))
    assert (count.replaced, count.current, count.unreadable) == (2, 0, 0)


KEYS = [f"key-{number}-" + "abcdefghij" * 3 for number in range(4)]


@examples(15)
@given(
    rows=st.lists(st.tuples(st.text(max_size=20), st.sampled_from(KEYS)), min_size=1, max_size=6),
    first=st.sampled_from(KEYS),
    step=st.integers(1, 4),
    steps=st.integers(0, 3),
)
def test_interrupted_runs_lose_no_value(
    rows: list[tuple[str, str]], first: str, step: int, steps: int
) -> None:
    with undone():
        catalog = make.catalog()
        for number, (text, key) in enumerate(rows):
            with with_keys(key):
                make.webhook(catalog, n=number + 1, headers={"X": text}, jwt_secret=text)
        with with_keys(first, *KEYS):
            for name in ("webhooks.Webhook.jwt_secret", "webhooks.Webhook.headers"):
                # Interrupted, then run to the end.
                list(islice(reencryption.reencrypt(column(name), step=step), steps))
                *_, count = reencryption.reencrypt(column(name), step=step)
                assert count.replaced + count.current == len(rows) and not count.unreadable
                *_, again = reencryption.reencrypt(column(name))
                assert (again.replaced, again.current) == (0, len(rows))
        with with_keys(first):
            stored = Webhook.objects.order_by("id").values_list("jwt_secret", "headers")
            assert list(stored) == [(text, {"X": text}) for text, _ in rows]
