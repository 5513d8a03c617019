"""The sandbox's part of the portal's navigation."""

from portal.layout import NavigationItem

ITEMS = [NavigationItem("Checks", "/checks/"), NavigationItem("Faults", "/faults/")]
