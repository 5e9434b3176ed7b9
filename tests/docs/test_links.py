"""A link between the pages leads to a file that is there, and to a heading that it has."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs import markdown
from tests.docs.pages import PAGES
from tests.docs.sources import REPOSITORY


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in markdown.links(page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        inside = target.exists() and target.is_relative_to(REPOSITORY)
        if not inside or (anchor and anchor not in markdown.anchors(target.read_text(encoding="utf-8"))):
            broken.append(link)
    assert broken == []


def test_every_page_is_reached_from_readme() -> None:
    readme = REPOSITORY / "README.md"
    linked = {(readme.parent / link.partition("#")[0]).resolve() for link in markdown.links(readme.read_text("utf-8"))}
    assert set(PAGES) - {readme} <= linked


def test_anchors_are_spelt_as_github_spells_them() -> None:
    page = "# A page\n## Why not …\n## `rollback`, and: [more](x.md)\n```bash\n# no heading\n```\n## A page\n"
    assert markdown.anchors(page) == {"a-page", "why-not-", "rollback-and-more", "a-page-1"}


def test_links_in_code_are_none() -> None:
    assert markdown.links("[a](b.md) `[c](d.md)` ![e](f.png)\n```text\n[g](h.md)\n```\n") == ["b.md"]
