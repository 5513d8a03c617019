"""The pages of the admin have nothing that their Content-Security-Policy blocks."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from requests_queue.catalog.models import User
from tests import html
from tests.html import Element
from tests.signed_in import signed_in


def blocked(page: Element) -> list[str]:
    """Return what the policy `default-src 'self'` blocks on a page."""
    found = []
    for each in page.descendants():
        is_inline = each.tag == "style" or "style" in each.attributes
        if each.tag == "script" and each.get("type") != "application/json":
            is_inline = not each.get("src")
        is_foreign = each.tag in ("script", "link", "img") and any(
            urlsplit(each.get(name)).netloc for name in ("src", "href")
        )
        if is_inline or is_foreign or any(name.startswith("on") for name in each.attributes):
            found.append(repr(each))
    return found


def test_lists_and_forms_have_nothing_inline(seeded: Any) -> None:
    client = signed_in(User.objects.get(is_superuser=True))
    index = client.get("/admin/")
    assert "default-src 'self'" in index["Content-Security-Policy"]
    lists = [link["href"] for link in html.parse(index).all("#content-main th a")]
    assert len(lists) > 15
    for address in lists:
        page = html.get(client, address)
        assert blocked(page) == [], address
        links = [*page.all("#result_list th a"), *page.all(".addlink")]
        for form in {link["href"].partition("?")[0] for link in (*links[:1], *links[-1:])}:
            assert blocked(html.get(client, form)) == [], form
    assert blocked(html.parse('<p onclick="x"></p><a style=""></a><script>1</script>')) != []
