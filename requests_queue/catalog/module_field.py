"""The form field of an API key's modules, for the portal and the admin."""

from __future__ import annotations

from typing import Any

from django import forms

from requests_queue.catalog.modules import ALL, MODULES


class ModulesField(forms.MultipleChoiceField):
    """All modules, or some of them: the value of `ApiToken.modules`."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self, **attributes: Any) -> None:
        super().__init__(
            choices=[(ALL, "All modules"), *((name, name) for name in MODULES)],
            initial=[ALL],
            help_text="All, or only some: an API call that belongs to another one gets 403.",
            error_messages={"required": "Choose all modules, or one or more of them."},
            **attributes,
        )

    def clean(self, value: Any) -> list[str]:
        """Return the names; all modules together with single ones are refused."""
        chosen: list[str] = super().clean(value)
        if ALL in chosen and len(chosen) > 1:
            raise forms.ValidationError("Choose either all modules, or some of them.")
        return chosen
