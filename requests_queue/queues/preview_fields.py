"""Fields of previews that several queues share."""

from __future__ import annotations

from requests_queue.queues.base import PreviewField

_CONTACT = (
    ("name", "Company", "text"),
    ("external_id", "External ID", "text"),
    ("contact_info.contact.first_name", "First name", "text"),
    ("contact_info.contact.last_name", "Last name", "text"),
    ("contact_info.contact.email", "E-mail", "email"),
    ("contact_info.address_line1", "Address", "text"),
    ("contact_info.city", "City", "text"),
    ("contact_info.postal_code", "Postal code", "text"),
    ("contact_info.country", "Country", "text"),
)


def company_fields(path: str, section: str) -> list[PreviewField]:
    """Return the fields of a company: name, contact and address."""
    return [
        PreviewField(f"{path}.{name}", label, section, kind, required=name == "name")
        for name, label, kind in _CONTACT
    ]
