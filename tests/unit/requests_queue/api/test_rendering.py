"""Templates filled with values: paths are looked up, and nothing is executed."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from requests_queue.api.rendering import look_up, render

VALUES = {
    "request": {"id": "PR-1", "note": None, "count": 3, "open": True},
    "asset": {
        "params": [
            {"id": "region", "value": "eu", "structured_value": {"city": "Bergen"}},
            {"id": "region.zone", "value": "north"},
            {"id": "", "value": "nameless"},
            {"value": "without an id"},
            "no object",
        ],
        "tiers": {"customer": {"name": "{{ request.id }} & <b>"}, "tier2": {}},
    },
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("no placeholder", "no placeholder"),
        ("", ""),
        ("{{ request.id }}", "PR-1"),
        ("{{request.id}}, {{  request.id  }}", "PR-1, PR-1"),
        ("{{ request.count }} {{ request.open }}", "3 true"),
        ("{{ asset.params.region.value }}", "eu"),
        ("{{ asset.params.region.structured_value.city }}", "Bergen"),
        # Ids may contain dots: the longest match is used.
        ("{{ asset.params.region.zone.value }}", "north"),
        # Inserted values are neither rendered again nor changed.
        ("{{ asset.tiers.customer.name }}", "{{ request.id }} & <b>"),
        # Missing values, and values that are no text.
        ("[{{ request.note }}]", "[]"),
        ("[{{ request }}] [{{ asset.params }}]", "[] []"),
        ("[{{ nothing }}] [{{ request.id.more }}] [{{ request..id }}] [{{ . }}]", "[] [] [] []"),
        ("[{{ asset.params.0.value }}] [{{ asset.tiers.tier2.name }}]", "[] []"),
        ("[{{}}] [{{   }}]", "[] []"),
        # There is no template language.
        ("[{{ request.id|upper }}] [{{ 7*7 }}] {% if a %}", "[] [] {% if a %}"),
        ("[{{ request.__class__.__mro__ }}] [{{ request.keys }}]", "[] []"),
        ("{{ request.id }", "{{ request.id }"),
        ("{{{ request.id }}}", "{PR-1}"),
        ("{{ request\n.id }}", ""),
    ],
)
def test_template_is_rendered(template: str, text: str) -> None:
    assert render(template, VALUES) == text


names = st.text("ab.", max_size=5)
nodes = st.recursive(
    st.sampled_from(["x", "y", None]), lambda inner: st.dictionaries(names, inner), max_leaves=8
)


def by_definition(node: Any, path: str) -> Any:
    """Look up the longest name of an object that is the path, or ends before a dot of it."""
    if not path:
        return node
    if not isinstance(node, dict):
        return None
    fitting = [name for name in node if name and f"{path}.".startswith(f"{name}.")]
    best = max(fitting, key=len, default="")
    return by_definition(node[best], path[len(best) + 1 :]) if best else None


@given(nodes, st.text("ab.", max_size=12), st.booleans())
@example({"a": {"b": "x"}, "a.b": "y"}, "a.b", False)
@example({"a.": "x", "": "y"}, "a..", False)
def test_longest_name_wins(node: Any, path: str, long: bool) -> None:
    path = f"{path}.{'c' * 300}" if long else path
    assert look_up(node, path) == by_definition(node, path)


def test_hostile_template_is_rendered_fast() -> None:
    started = time.monotonic()
    render("{{" * 50_000 + "a." * 50_000 + "}}", VALUES)
    render("{{ " + "a." * 50_000 + " }}", VALUES)
    deep: dict[str, object] = {}
    node = deep
    for _ in range(900):
        node["a"] = node = {}
    render("{{ " + "a." * 2_000 + " }}", deep)
    assert time.monotonic() - started < 2
