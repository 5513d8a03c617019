"""The sandbox's part of the portal's navigation."""

from portal.layout import NavigationItem

TIMELINE = NavigationItem("Timeline", "/timeline/")
ITEMS = [
    NavigationItem("Checks", "/checks/"),
    NavigationItem("Faults", "/faults/"),
    NavigationItem("Snapshots", "/snapshots/"),
]


def add(items: list[NavigationItem]) -> None:
    """Add ours: the timeline after the deliveries, which it has too, the others at the end."""
    names = [item.name for item in items]
    items.insert(names.index("Deliveries") + 1, TIMELINE)
    items.extend(ITEMS)
