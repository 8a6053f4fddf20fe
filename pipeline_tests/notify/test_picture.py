"""The chart of a message: what is drawn, and that no news waits for what cannot be drawn."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.core.analysis.watched import read_recent
from pipeline.core.lake import VALIDATED
from pipeline.core.model import Origin
from pipeline.notify.picture import HEIGHT, MOST, WIDTH, crossings_picture
from pipeline.notify.sending import send_report
from pipeline_tests.core.account import Account, hour, rows
from pipeline_tests.core.snapshots import at

from .hostile import Webhook, webhook
from .reports import crossing

LINE, THRESHOLD, PAPER = (0x3B, 0x4C, 0xC0), (0xB3, 0x54, 0x1E), (255, 255, 255)


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as started:
        yield started


@pytest.fixture
def account(tmp_path: Path) -> Account:
    """Five items over twelve hours, of which the first passes 100 views in the last one."""
    account = Account.under(tmp_path / "lake")
    account.origin = Origin.LIVE
    with account.lake.writing():
        for hours in range(12):
            account.tell(hours, rows(n1=90 + hours, n2=5, n3=6, n4=7, n5=8))
    return account


def drawn(account: Account, *items: str, **changes: object) -> Image.Image | None:
    recent = read_recent(account.lake, hour(11), list(items), days=7)
    content = crossings_picture([crossing(item_id=item, **changes) for item in items], recent)
    return None if content is None else Image.open(io.BytesIO(content)).convert("RGB")


def shows(image: Image.Image, colour: tuple[int, int, int]) -> bool:
    """Whether a pixel has nearly this colour: thin lines mix with the paper."""
    pixels = np.asarray(image, np.int16).reshape(-1, 3)
    return bool((np.abs(pixels - np.array(colour)).max(axis=1) < 40).any())


def test_a_line_and_the_mark_that_it_passed_are_drawn_on_white(account: Account) -> None:
    image = drawn(account, "n1")
    assert image is not None
    assert image.size == (WIDTH, HEIGHT)
    assert all(shows(image, colour) for colour in (LINE, THRESHOLD, PAPER))


def test_a_mark_far_from_the_counts_does_not_flatten_them(account: Account) -> None:
    image = drawn(account, "n1", threshold=1e6)
    assert image is not None
    assert shows(image, LINE)
    assert not shows(image, THRESHOLD)


def test_a_few_items_have_a_chart_and_the_others_stand_in_words_alone(account: Account) -> None:
    image = drawn(account, "n1", "n2", "n3", "n4", "n5")
    assert image is not None
    assert image.size == (WIDTH, MOST * HEIGHT)


def test_nothing_is_drawn_of_what_was_observed_once_or_never(account: Account) -> None:
    assert drawn(account, "unknown") is None
    recent = read_recent(account.lake, hour(0), ["n1"], days=7)
    assert crossings_picture([crossing(item_id="n1")], recent) is None


def test_news_do_not_wait_for_an_earlier_file_that_is_damaged(account: Account, hook: Webhook) -> None:
    account.lake.path(VALIDATED, hour(3)).write_bytes(b"no table")
    account.change(notify=(hook.address,))
    assert [d.result for d in send_report(account.lake, account.source, hour(10), lambda: at(11))] == ["sent"]
    (body,) = hook.bodies
    assert "- 100 views (99 → 100): “Title of n1”" in json.loads(body)["message"]
