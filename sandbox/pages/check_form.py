"""The form that starts a run of checks."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import QueryDict

from sandbox.checks import runner, selection
from sandbox.checks.catalog import CHECKS
from sandbox.checks.options import VALIDATOR, Options
from sandbox.checks.outputs import marks
from sandbox.checks.outputs.catalog_texts import UnknownCheck

MAX_SEED = 2**31 - 1
_MAX_VALUES = 20


class CheckForm(forms.Form):
    """What is checked, and how; a valid form has `options`, as `CheckRun` stores them."""

    required_css_class = "required"

    groups = forms.MultipleChoiceField(
        required=False,
        label="Groups",
        widget=forms.CheckboxSelectMultiple,
        help_text="None selected: all.",
    )
    checks = forms.CharField(
        required=False,
        label="Only these checks",
        max_length=1000,
        help_text="IDs or patterns, separated by commas, for example auth.no_header, token.*",
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )
    invalid = forms.CharField(
        required=False,
        label="Values that your validator refuses",
        max_length=4000,
        help_text="One per line, as parameter=value. Without any, some checks are inconclusive.",
        widget=forms.Textarea({"rows": 3, "autocomplete": "off", "spellcheck": "false"}),
    )
    seed = forms.IntegerField(
        min_value=0,
        max_value=MAX_SEED,
        initial=0,
        label="Seed",
        help_text="Only named in the report: checks make no random choices.",
    )
    strict = forms.BooleanField(required=False, label="Failures of SHOULD count, too")
    deep = forms.BooleanField(required=False, label="Also run the checks that take minutes")

    def __init__(self, type_: str, method: str, data: QueryDict | None = None, **more: Any):
        super().__init__(data, **more)
        self._type, self._method = type_, method
        applicable = runner.select(CHECKS, Options(type=type_))
        groups: Any = self.fields["groups"]
        groups.choices = [
            (name, f"{name} ({len(checks)})")
            for name, checks in marks.check_groups(applicable).items()
        ]
        if type_ != VALIDATOR:
            del self.fields["invalid"]

    @property
    def options(self) -> dict[str, Any]:
        values = self.cleaned_data
        return {
            "type": self._type,
            "method": self._method,
            "select": [*values["groups"], *values["checks"]],
            "seed": values["seed"],
            "strict": values["strict"],
            "deep": values["deep"],
            "invalid": values.get("invalid", {}),
        }

    def clean_checks(self) -> tuple[str, ...]:
        """Return the ids and patterns."""
        text = self.cleaned_data["checks"].strip()
        try:
            return selection.globs([text]) if text else ()
        except UnknownCheck as error:
            sentence = str(error)
            raise forms.ValidationError(f"{sentence[:1].upper()}{sentence[1:]}") from None

    def clean_invalid(self) -> dict[str, str]:
        """Return the values by parameter."""
        values: dict[str, str] = {}
        for line in filter(None, map(str.strip, self.cleaned_data["invalid"].splitlines())):
            name, equals, value = line.partition("=")
            if not name.strip() or not equals:
                raise forms.ValidationError("Each line must be parameter=value.")
            values[name.strip()] = value.strip()
        if len(values) > _MAX_VALUES:
            raise forms.ValidationError(f"Enter at most {_MAX_VALUES} values.")
        return values

    def clean(self) -> dict[str, Any]:
        """Refuse a selection without any check of the webhook's type."""
        values = super().clean() or self.cleaned_data
        if not self.errors and not runner.select(
            CHECKS, Options(type=self._type, selected=selection.globs(self.options["select"]))
        ):
            self.add_error("checks", f"None of them is a check of a webhook of type {self._type}.")
        return values
