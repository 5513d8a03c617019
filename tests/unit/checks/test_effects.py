"""Which order others approve while the handler works."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sandbox.checks.catalog import effects

ROWS = st.lists(
    st.fixed_dictionaries({"id": st.text("0123456789", min_size=4, max_size=4),
                           "created": st.sampled_from(["10:00:00", "10:00:01"])}),
    min_size=7, max_size=9, unique_by=lambda row: row["id"],
)  # fmt: skip


@given(ROWS)
def test_inner_request_is_never_at_an_end(rows: list[dict[str, str]]) -> None:
    found = effects.inner(rows)
    for key in (lambda row: row["id"], lambda row: (row["created"], row["id"])):
        ids = [row["id"] for row in sorted(rows, key=key)]
        assert 0 < ids.index(found) < len(ids) - 1
    assert found not in (rows[0]["id"], rows[-1]["id"])
