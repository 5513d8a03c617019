"""Pages of webhooks: list, details, edit, and the wizard that creates one."""
