"""The tests of the queues and of delivery, once more on PostgreSQL.

Django has one database per process, so these are runs of pytest in child processes. The files are
dealt out to several of them, which run at the same time on different workers.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.postgres_server import postgres_database
from tests.processes import ROOT

FOLDERS = ("tests/queue", "tests/webhooks")
MORE = [
    "tests/runtime/postgres_unavailable.py",
    # Pages that search, count by minute or page through long lists.
    *(
        f"tests/portal/test_{name}.py"
        for name in (
            "deliveries_log",
            "deliveries_search",
            "home_page",
            "queues_pages",
            "sign_in_limits",
            "webhooks_list",
        )
    ),
]
# Run without a database: the same on each.
WITHOUT_DATABASE = {
    "admin_validation",
    "client_connections",
    "client_hostile",
    "client_memory",
    "client_wire",
    "database_errors",
    "types",
    "validation_failures",
    "validator_docs",
}
# Reads and writes of the ORM, checks of input and representations: plain SQL, which is the same on
# both databases. `make test` runs here only the tests under SAMPLES; `make nightly` runs them all.
PLAIN_SQL = {
    # All actions and admin pages by every actor: `test_walks` has the same SQL.
    "actions",
    "admin_isolation",
    # Reads and writes of one row at a time, and errors of invalid input.
    "action_links",
    "agreements",
    "api_urls",
    "body",
    "catalog_api",
    "conversations",
    "creation",
    "directory",
    "editing",
    "hub_writes",
    "media",
    "older_calls",
    "product_writes",
    "tier_account_writes",
    "tier_input",
    "webhook_fields",
    # Rules of one queue: actions lock their rows with the code that `test_walks` runs.
    "billing",
    "fulfillment",
    "listing",
    "tier_account",
    "tier_config",
    "tier_config_api",
    "usage_file",
    # Spreadsheets and texts, computed in Python.
    "preview",
    "shown_templates",
    "usage_memory",
    "usage_processing",
    # The servers of tests/runtime have the demo data in PostgreSQL.
    "seed",
    # Pages: their lists, searches and counts are samples.
    "admin",
    "home_page",
    "queues_pages",
    # Moves of the clock with a running engine, whose claims and flushes the other files test.
    "clock_moves",
    # SQLite's own errors.
    "sqlite_outages",
}
# Tests of these files with SQL that may differ, and one of each kind of plain SQL.
SAMPLES = (
    "tests/portal/test_home_page.py::test_last_hour_counts_attempts_by_outcome",
    "tests/portal/test_queues_pages.py::test_index_counts_objects_by_status",
    "tests/portal/test_queues_pages.py::test_objects_are_filtered_and_searched",
    "tests/queue/test_admin.py::test_list_action_changes_the_objects_that_allow_it",
    "tests/queue/test_admin.py::test_objects_that_requests_refer_to_cannot_be_deleted",
    "tests/queue/test_admin.py::test_search_and_filters",
    "tests/queue/test_billing.py::test_date_at_the_end_of_the_range_stops_no_other",
    "tests/queue/test_billing.py::test_periods_are_billed_in_order",
    "tests/queue/test_billing.py::test_request_filters",
    "tests/queue/test_catalog_api.py::TestObjects::test_scopes_of_a_tier_account_follow_from_assets",
    "tests/queue/test_creation.py::test_usage_file_creates_an_event",
    "tests/queue/test_directory.py::TestConfigurations::test_configuration_filters",
    "tests/queue/test_fulfillment.py::test_repeated_order_returns_409_with_the_existing_request",
    "tests/queue/test_fulfillment.py::test_scheduled_request_becomes_pending_at_its_planned_date",
    "tests/queue/test_fulfillment.py::test_stale_drafts_are_deleted_with_their_assets",
    "tests/queue/test_listing.py::test_listing_filters",
    "tests/queue/test_product_writes.py::TestProduct::test_disabled_capability_matches_no_filter",
    "tests/queue/test_seed.py::test_rows_that_a_user_deleted_are_restored",
    "tests/queue/test_seed.py::test_second_seed_changes_no_row",
    "tests/queue/test_tier_account.py::test_request_filters",
    "tests/queue/test_tier_account_writes.py::TestTierAccountWrites::test_unchanged_values_create_no_version",
    "tests/queue/test_tier_config.py::TestOrdersThatWait::test_approval_releases_all_waiting_orders",
    "tests/queue/test_tier_config.py::TestDue::test_stale_drafts_are_deleted_with_their_configurations",
    "tests/queue/test_tier_config_api.py::TestFilters::test_order_and_select",
    "tests/queue/test_usage_file.py::test_closing_the_last_record_closes_the_file",
    "tests/queue/test_usage_file.py::test_record_filters",
    "tests/queue/test_usage_processing.py::test_lost_task_is_published_again_and_lost_worker_replaced",
    "tests/queue/test_usage_processing.py::test_task_is_published_after_the_commit",
    "tests/queue/test_usage_processing.py::test_worker_without_claim_deletes_nothing",
    "tests/webhooks/test_admin.py::test_delete_page_counts_deleted_objects",
    "tests/webhooks/test_admin.py::test_search_and_filters",
    "tests/webhooks/test_clock_moves.py::test_cleanup_keeps_move_that_has_just_begun",
    "tests/webhooks/test_clock_moves.py::test_concurrent_move_is_refused",
    "tests/webhooks/test_clock_moves.py::test_lease_of_move_uses_database_clock",
    "tests/webhooks/test_clock_moves.py::test_move_of_killed_process_ends_with_its_lease",
    "tests/webhooks/test_clock_moves.py::test_move_renews_its_lease",
    "tests/webhooks/test_clock_moves.py::test_pending_deliveries_are_sent_when_backoff_ends",
)
PARTS = 3


def _files(without: set[str]) -> list[str]:
    """Return the files to run, without some, the largest first."""
    paths = [path for folder in FOLDERS for path in (ROOT / folder).glob("test_*.py")]
    paths += [ROOT / name for name in MORE]
    paths = [path for path in paths if path.stem.removeprefix("test_") not in without]
    return [str(path.relative_to(ROOT)) for path in sorted(paths, key=_size, reverse=True)]


def _size(path: Path) -> int:
    return path.stat().st_size


def _run(tests: list[str], *options: str) -> None:
    with postgres_database() as database:
        result = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *options, *tests],
            cwd=ROOT,
            env={**os.environ, "SIM_TEST_DATABASE_URL": database},
            capture_output=True,
            text=True,
        )  # fmt: skip
    assert result.returncode == 0, result.stdout[-20000:]
    assert " passed" in result.stdout


@pytest.mark.postgres
@pytest.mark.parametrize("part", range(PARTS))
def test_queues_and_delivery_behave_the_same_on_postgres(part: int) -> None:
    tests = [*_files(WITHOUT_DATABASE | PLAIN_SQL), *SAMPLES]
    _run(tests[part::PARTS], "--hypothesis-profile=sample")


@pytest.mark.nightly
@pytest.mark.postgres
@pytest.mark.parametrize("part", range(PARTS))
def test_all_of_queues_and_delivery_behave_the_same_on_postgres(part: int) -> None:
    _run(_files(WITHOUT_DATABASE)[part::PARTS])


def test_files_that_are_left_out_exist() -> None:
    stems = {Path(name).stem for name in _files(set())}
    assert {f"test_{name}" for name in WITHOUT_DATABASE | PLAIN_SQL} <= stems


def test_samples_are_of_files_that_are_left_out() -> None:
    stems = {Path(sample.partition("::")[0]).stem for sample in SAMPLES}
    assert stems <= {f"test_{name}" for name in PLAIN_SQL}
