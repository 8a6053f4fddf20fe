"""What only Forem does: instances that allow fewer articles a page, a key counter that its description lacks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.core import history
from pipeline.core.errors import DeadSession
from pipeline.core.model import Counter
from pipeline.platforms.forem import Forem
from pipeline.platforms.protocol import Page
from pipeline.sandbox.faults import Reply
from pipeline_tests.core.account import Account, failed, finding
from pipeline_tests.platforms.accounts.account import NOW, SECRET
from pipeline_tests.platforms.accounts.forem import forem_answer, forem_article
from pipeline_tests.platforms.stand_in import StandIn
from pipeline_tests.platforms.test_contract import fetch

RECORDED = Path(__file__).parents[1] / "data"


def forem(url: str = "https://dev.to") -> Forem:
    return Forem.model_validate({"api_key": SECRET, "base_url": url, "requests_per_second": 10_000})


def page(*articles: Mapping[str, Any]) -> Page:
    return Page("GET /api/articles/me/published?per_page=1000&page=1", 200, {}, NOW, json.dumps(articles).encode())


@pytest.mark.parametrize(
    ("articles", "most", "sizes"),
    [(0, 1000, [0]), (3, 1000, [3, 0]), (4, 2, [2, 2, 0]), (5, 2, [2, 2, 1]), (1, 1, [1, 0])],
)
def test_the_listing_ends_with_a_page_that_is_empty_or_shorter_than_the_first(
    articles: int, most: int, sizes: Sequence[int]
) -> None:
    with StandIn(forem_answer([forem_article(number) for number in range(articles, 0, -1)], most)) as serving:
        pages = fetch(forem(serving.url))
    assert [len(json.loads(page.body)) for page in pages] == sizes
    numbers = range(1, len(sizes) + 1)
    assert serving.requests == [f"GET /api/articles/me/published?per_page=1000&page={number}" for number in numbers]


def test_an_article_shows_nothing_but_what_is_counted() -> None:
    kept = forem().trim(page(forem_article(1)))
    assert json.loads(kept.body)[0].keys() == {
        "id",
        "title",
        "url",
        "published_at",
        "page_views_count",
        "public_reactions_count",
        "comments_count",
    }
    assert {"body_markdown", "user"} <= set(kept.dropped)


def test_the_recorded_answer_to_a_wrong_key_is_a_dead_session() -> None:
    recorded = json.loads((RECORDED / "forem_401.json").read_text())
    with StandIn(forem_answer([])) as serving:
        serving.fail_next(Reply(recorded["status"], recorded["headers"], json.dumps(recorded["body"]).encode()))
        with pytest.raises(DeadSession) as dead:
            fetch(forem(serving.url))
    assert "suspended" in dead.value.next_step


@pytest.mark.parametrize("changes", [{"page_views_count": None}, {"page_views_count": ...}])
def test_an_article_without_its_views_is_refused_by_name_and_never_zero(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    article = {name: value for name, value in forem_article(7, **changes).items() if value is not ...}
    platform = forem()
    counters = tuple(Counter(name, policy) for name, policy in platform.policies.items())
    account = Account.under(tmp_path, platform=platform, counters=counters, rules=())
    with account.lake.writing():
        judged = history.verdict(account.lake, account.source, account.capture(24 * 20, [page(article)]))
    assert failed(judged.findings) == ["required_fields"]
    assert "Views is missing in 1 item" in judged.reason
    assert finding(judged, "required_fields").rows[0]["item_id"] == "7"


@pytest.mark.parametrize("odd", [True, None, "7", 7.5])
def test_an_id_that_is_no_number_is_left_for_the_checks(odd: Any) -> None:
    assert forem().read(page(forem_article(1, id=odd)))["item_id"] == [odd]


@pytest.mark.parametrize("wrong", [{"api_key": ""}, {"api_key": None}, {"username": "x"}])
def test_a_setting_that_cannot_work_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Forem.model_validate({"api_key": SECRET, **wrong})
