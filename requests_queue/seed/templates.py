"""Templates of the texts that customers and resellers read."""

from __future__ import annotations

from datetime import datetime, timedelta

from requests_queue.catalog.models import Template
from requests_queue.seed.products import BACKUP, METER, SUITE
from requests_queue.seed.rows import add_missing

_ACTIVE = """# {name} is ready

Hello {{{{ asset.tiers.customer.contact_info.contact.first_name }}}},

your subscription `{{{{ asset.id }}}}` is active.

| | |
|---|---|
| {label} | `{{{{ asset.params.{key}.value }}}}` |
| Reseller | {{{{ asset.tiers.tier1.name }}}} |

{more}

Questions? Write to support@nimbus.example.com and name the subscription.
"""

_INQUIRE = """# We need something from you

Hello {{{{ asset.tiers.customer.contact_info.contact.first_name }}}},

we can't set up **{name}** with what we have. Please correct the values that are marked in
[this form]({{{{ request.params_form_url }}}}); the order then continues automatically.
"""

_PENDING = """# {name} is being set up

Your order `{{{{ request.id }}}}` has arrived and is being worked on. This usually takes less
than an hour; you will hear from us as soon as it is done.
"""

_TIER_ACTIVE = """# You can sell {name}

**{{{{ configuration.account.name }}}}** is set up as {level} of {name}.
The tenant is `{{{{ configuration.params.{key}.value }}}}`.
"""

_TIER_INQUIRE = """# Your partner data is incomplete

We can't set up **{{{{ configuration.account.name }}}}** as {level} of {name} yet. Please answer
what is asked [here]({{{{ tier_config_request.activation.link }}}}).
"""

_TIER_PENDING = """# We are setting you up

**{{{{ configuration.account.name }}}}** is being set up as {level} of {name}. Orders of your
customers wait until this is done.
"""

_BODIES = {
    "asset": {"fulfillment": _ACTIVE, "inquire": _INQUIRE, "pending": _PENDING},
    "tier": {"fulfillment": _TIER_ACTIVE, "inquire": _TIER_INQUIRE, "pending": _TIER_PENDING},
}
_TITLES = {"fulfillment": "ready", "inquire": "more information needed", "pending": "in progress"}

_SIGN_IN = "Sign in at {{ asset.params.%s.value }}."

# Product, scope, prefix of the ids, and values for the bodies.
_SETS: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    (
        BACKUP,
        "asset",
        "TL-213-870",
        {
            "name": "Nimbus Backup",
            "label": "Activation id",
            "key": "activation_id",
            "more": _SIGN_IN % "console_url",
        },
    ),
    (
        SUITE,
        "asset",
        "TL-561-034",
        {
            "name": "Nimbus Secure Suite",
            "label": "Tenant id",
            "key": "tenant_id",
            "more": _SIGN_IN % "console_address" + " Your first password is shown there once.",
        },
    ),
    (
        SUITE,
        "tier1",
        "TL-561-035",
        {
            "name": "Nimbus Secure Suite",
            "level": "a reseller",
            "key": "partner_tenant",
        },
    ),
    (
        SUITE,
        "tier2",
        "TL-561-036",
        {
            "name": "Nimbus Secure Suite",
            "level": "a master reseller",
            "key": "master_tenant",
        },
    ),
    (
        METER,
        "asset",
        "TL-794-452",
        {
            "name": "Nimbus Meter",
            "label": "Workspace id",
            "key": "workspace_id",
            "more": "What is counted shows up in your workspace within a minute.",
        },
    ),
)


def add_templates(at: datetime) -> dict[str, int]:
    """Add a template for each scope and type; only the suite has templates for resellers."""
    stamps = {"created": at - timedelta(days=358), "updated": at - timedelta(days=45)}
    rows: list[Template] = []
    for product, scope, prefix, words in _SETS:
        bodies = _BODIES["asset" if scope == "asset" else "tier"]
        for number, (kind, body) in enumerate(bodies.items(), 1):
            title = f"{words['name']}: {_TITLES[kind]}"
            rows.append(
                Template(
                    id=f"{prefix}-{number:03d}",
                    product_id=product,
                    scope=scope,
                    type=kind,
                    name=f"{title} - {scope}",
                    title=title,
                    body=body.format(**words),
                    position=len(rows) * 100,
                    **stamps,
                )
            )
    return {"templates": add_missing(rows)}
