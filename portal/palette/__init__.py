"""The command palette: objects by id, pages and actions, as a dialog and as a page."""
