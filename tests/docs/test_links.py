"""Documents lead where they say."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from tests.docs.markdown import ROOT, anchors, documents, links, text_of


def broken_links(name: str, text: str) -> list[str]:
    """Return the links of a document to files or headings that are not there."""
    broken = []
    for link in links(text):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / PurePosixPath(name).parent / path).resolve() if path else ROOT / name
        there = target.exists()
        if there and anchor:
            there = anchor in anchors(target.read_text(encoding="utf-8") if path else text)
        if not there:
            broken.append(link)
    return broken


@pytest.mark.parametrize("name", documents())
def test_every_link_of_a_document_leads_to_a_file_and_a_heading_that_exist(name: str) -> None:
    assert broken_links(name, text_of(name)) == []


def test_a_link_to_nowhere_would_be_found() -> None:
    text = "# Title\n[a](docs/none.md) [b](#nowhere) [c](GLOSSARY.md#nothing-such) [d](LICENSE) [e](#title)"

    assert broken_links("README.md", text) == ["docs/none.md", "#nowhere", "GLOSSARY.md#nothing-such"]


def test_every_document_is_reached_from_the_readme() -> None:
    reached, waiting = set(), ["README.md"]
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        for link in links(text_of(name)):
            if "://" not in link and link.partition("#")[0].endswith(".md"):
                target = (ROOT / PurePosixPath(name).parent / link.partition("#")[0]).resolve()
                waiting.append(str(target.relative_to(ROOT)))

    # CHANGELOG is where everybody looks for it; figures are written by commands
    assert set(documents()) - reached <= {"CHANGELOG.md", "docs/benchmarks.md", "docs/evidence.md"}
