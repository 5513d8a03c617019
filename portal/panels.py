"""Parts of pages that apps above the portal fill: panels and columns of rows.

    PANELS.append(Panel(ATTEMPT, "sandbox/attempt.html", load_attempts))

A page fills a slot once for all its rows, and shows the panels of each row by the tag `panel`. The
template has the row's data as `data`. A row without data has no panel. A column has no template:
its data is the text of the cell, so that a page of fifty rows doesn't render as many templates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# The slots, and the keys of their rows.
ATTEMPT = "attempt"  # each attempt of a delivery in the list; delivery and number
CHOSEN_ATTEMPT = "chosen attempt"  # the attempt that a delivery's page shows; delivery and number
NEXT_ATTEMPT = "next attempt"  # what a waiting delivery's page says of its next attempt; its id
# Each row of the deliveries log, as text; delivery and number.
DELIVERY_COLUMN = "delivery column"
WEBHOOK_HEALTH = "webhook health"  # the health line of a webhook; its id
WEBHOOK = "webhook"  # the statistics of a webhook; its id
OBJECT = "object"  # in place of the history of an object of a queue; its id

# Takes the account whose user views the page, and the keys of all rows; a constant number of
# statements. The representation (`repr`) of the data must change when what is shown changes.
Load = Callable[[str, Sequence[Any]], Mapping[Any, Any]]


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of a page, or a column with its heading."""

    slot: str
    template: str
    load: Load
    title: str = ""


@dataclass(frozen=True, slots=True)
class FilledPanel:
    """A panel with the data of a page's rows."""

    panel: Panel
    data: Mapping[Any, Any]


# Apps above the portal append theirs with their URLs.
PANELS: list[Panel] = []


def fill(slot: str, account: str, keys: Iterable[Any]) -> list[FilledPanel]:
    """Return the panels of a slot with the data of all rows; the keys are read only if needed."""
    panels = [panel for panel in PANELS if panel.slot == slot]
    if not panels:
        return []
    rows = list(keys)
    return [FilledPanel(panel, panel.load(account, rows)) for panel in panels]
