"""What a file contains is decided for every table, and for every secret."""

from __future__ import annotations

from django.apps import apps

from requests_queue.db import reencryption
from sandbox.snapshot_files import contents
from sandbox.world import tables


def test_every_table_is_listed_or_left_out_with_a_reason() -> None:
    of_snapshots = {model._meta.label for model in tables.world_models()}
    assert {*contents.TABLES, *contents.LEFT_OUT} == of_snapshots
    assert len(contents.TABLES) + len(contents.LEFT_OUT) == len(of_snapshots)
    assert all(contents.LEFT_OUT.values())


def test_every_encrypted_column_of_a_listed_table_has_a_rule() -> None:
    rules = {*contents.NEW_SECRETS, *contents.HEADERS, *contents.MASKED_HEADERS}
    encrypted = {(each.model._meta.label, each.name) for each in reencryption.columns()}
    assert {column for column in encrypted if column[0] in contents.TABLES} <= rules
    for label, name in rules:
        assert apps.get_model(label)._meta.get_field(name)
    assert {*contents.RECORDED} <= {*contents.TABLES}
