"""The pipelines in README, docs/ and the project's own Jenkinsfile are Groovy that Jenkins' parser takes."""

from __future__ import annotations

from tests.docs import markdown, sources
from tests.docs.pages import PAGES


def pipelines() -> dict[str, str]:
    texts = {"Jenkinsfile": (sources.REPOSITORY / "Jenkinsfile").read_text(encoding="utf-8")}
    for page in PAGES:
        for block in markdown.blocks(page.read_text(encoding="utf-8")):
            if block.kind == "groovy":
                texts[f"{page.name}:{block.line}"] = block.text
    return texts


def test_every_pipeline_parses(steps) -> None:
    texts = pipelines()
    assert len(texts) >= 5
    answers = steps([{"parse": text} for text in texts.values()])
    assert {where: answer["error"] for where, answer in zip(texts, answers) if answer["error"]} == {}


def test_what_does_not_parse_is_seen(steps) -> None:
    (answer,) = steps([{"parse": "node('docker') { deployWithProxy(service: 'books-ms' }"}])
    assert "unexpected token" in answer["error"]
