"""The alternatives of what is assumed about Connect, the defaults first: see `assumptions`.

No Django: `connect-sim check` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Name = Literal[
    "jwt_header",
    "object_class_form",
    "api_url_slash",
    "event_mode",
    "draft_events",
    "update_events",
    "created_status",
    "cancel_suspended",
    "request_updates",
    "update_code",
    "wrong_status_code",
    "approve_template",
    "pending_template",
    "value_errors",
    "usage_processed",
    "action_status",
    "default_page",
    "invalid_limit",
    "date_precision",
    "key_order",
    "unknown_keys",
]
ALTERNATIVES: Mapping[Name, tuple[str, ...]] = {
    "jwt_header": ("both", "authentication", "authorization"),
    "object_class_form": ("plural", "singular"),
    "api_url_slash": ("absent", "present"),
    "event_mode": ("each", "coalesce"),
    "draft_events": ("none", "created"),
    "update_events": ("none", "updated"),
    "created_status": ("final", "pending"),
    "cancel_suspended": ("allowed", "refused"),
    "request_updates": ("validated", "any"),
    "update_code": ("REQ_001", "REQ_003"),
    "wrong_status_code": ("REQ_003", "VAL_001"),
    "approve_template": ("optional", "required"),
    "pending_template": ("present", "absent"),
    "value_errors": ("kept", "cleared"),
    "usage_processed": ("ready", "uploaded"),
    "action_status": ("documented", "200", "204"),
    "default_page": ("100", "10"),
    "invalid_limit": ("refused", "ignored"),
    "date_precision": ("seconds", "microseconds"),
    "key_order": ("documented", "reversed"),
    "unknown_keys": ("absent", "present"),
}
# The setting of each name.
SETTINGS: Mapping[str, str] = {name: f"SIM_{name.upper()}" for name in ALTERNATIVES}
