"""The sandbox's pages in the portal."""
