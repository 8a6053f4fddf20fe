"""What the owner of a description reads of a reply that does not fit it: which key and expression, and which item."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from pipeline.core.sources import read_source
from pipeline.core.trial import Trial, try_source
from pipeline.core.withheld import withhold
from pipeline.platforms.json_api.description import Auth
from pipeline_tests.platforms.conftest import NOW
from pipeline_tests.platforms.described import Items, post, posts
from pipeline_tests.platforms.stand_in import StandIn, answers

POSTS = """\
    path: /api/posts
    items: posts
    fields: {item_id: id, title: title, url: link, published_at: {value: at}}
    counters: {views: stats.viewCount || views, likes: {value: likes, optional: true}}
"""


def tried(folder: Path, items: Items, text: str = POSTS, env: Mapping[str, str] | None = None) -> Trial:
    file = folder / "mine" / "defs.yaml"
    file.parent.mkdir()
    head = "type: pipeline.components.CounterSource\nattributes:\n  source: mine\n  platform:\n    kind: json_api\n"
    with StandIn(lambda asked: answers({"posts": items})) as stand_in:
        file.write_text(f"{head}    base_url: {stand_in.url}\n    requests_per_second: 1000\n{text}")
        return try_source(read_source(file, env or {}), lambda: NOW)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"views": None},
            "Views is missing in 1 item (Post 2 [2]; counters.views: stats.viewCount || views)",
        ),
        (
            {"views": "12"},
            "Views is not a whole number in 1 item (Post 2 [2]; counters.views: stats.viewCount || views)",
        ),
        ({"likes": -1}, "Likes is negative in 1 item (Post 2 [2]; counters.likes: likes)"),
        ({"title": 7}, "Title is not a text in 1 item (7 [2]; fields.title: title)"),
        ({"at": "x"}, "Published_at is not a time with an offset in 1 item (Post 2 [2]; fields.published_at: at)"),
        ({"id": None}, "Item_id is missing or not a text in 1 item (Post 2 [None]; fields.item_id: id)"),
    ],
)
def test_a_value_that_cannot_be_is_told_with_its_item_its_key_and_its_expression(
    tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    assert tried(tmp_path, [post(1), post(2, **changes)]).problems == [f"{told}."]


def test_an_expression_is_told_without_what_came_from_the_environment(tmp_path: Path) -> None:
    text = POSTS.replace("stats.viewCount || views", "'{{ env.PART }}.{{ env.PART }}'")
    [told] = tried(tmp_path, [post(1, blog={"blog": "many"})], text, {"PART": "blog"}).problems
    assert told.endswith("counters.views: (withheld).(withheld)).")


def test_an_expression_that_is_told_holds_no_secret_and_no_second_line(tmp_path: Path) -> None:
    withhold(Auth(query={"key": SecretStr("planted-of-the-owner")}))
    expression = "nobody[?a == 'planted-of-the-owner']\\n | [0]"
    odd = POSTS.replace("stats.viewCount || views", f'"{expression}"')
    [told] = tried(tmp_path, posts(1), odd).problems
    assert told.endswith("counters.views: nobody[?a == '(withheld)'] | [0]).")


@pytest.mark.parametrize(
    ("written", "instead", "told"),
    [
        ("title: title", "title: name", ["fields.title: name finds nothing in any of the 3 items."]),
        ("value: likes", "value: hearts", ["counters.likes: hearts finds nothing in any of the 3 items."]),
        (
            "url: link",
            'url: "https://a.example{path}"',
            ["fields.url: https://a.example{path} finds nothing in any of the 3 items."],
        ),
        ("title: title, url: link", "title: name, url: path", ["fields.title: name", "fields.url: path"]),
        ("title: title, ", "", []),
    ],
)
def test_an_expression_that_finds_nothing_in_any_item_is_told_and_nothing_is_refused(
    tmp_path: Path, written: str, instead: str, told: list[str]
) -> None:
    trial = tried(tmp_path, posts(3), POSTS.replace(written, instead))
    assert len(trial.unfound) == len(told)
    assert all(said.startswith(words) for said, words in zip(trial.unfound, told, strict=True))
    assert (trial.problems, len(trial.items)) == ([], 3)


@pytest.mark.parametrize("items", [[], [post(1, title=None, likes=None, at=None, link=None), post(2)]])
def test_a_field_that_some_item_has_is_no_mistake(tmp_path: Path, items: Items) -> None:
    assert tried(tmp_path, items).unfound == ()
