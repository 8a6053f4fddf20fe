"""The simulated account keeps what its formula promises, over a year."""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.hours import Hour
from pipeline.sandbox import simulation
from pipeline.sandbox.article import Article
from pipeline.sandbox.simulation import BACK_CATALOGUE, SLOTS, simulated_articles

MILESTONES = (100, 200, 500, 1000, 2000, 5000)
OPENED = datetime(2026, 11, 20, 17, 31, tzinfo=UTC)
YEAR = timedelta(days=365)
moments = st.integers(0, 60 * 86_400).map(lambda seconds: OPENED + timedelta(seconds=seconds))


def at(now: datetime, opened_at: datetime = OPENED) -> dict[str, Article]:
    return {article.key: article for article in simulated_articles(now, opened_at=opened_at)}


def crossings(published_at: datetime, popularity: int) -> list[datetime]:
    """The first second at which an article has reached each milestone."""

    def views(second: int) -> int:
        now = published_at + timedelta(seconds=second)
        return simulation._article(published_at, popularity, now).views

    seconds = range(2 * 86_400)
    return [published_at + timedelta(seconds=bisect_left(seconds, milestone, key=views)) for milestone in MILESTONES]


def test_in_every_hour_of_a_year_an_article_that_was_out_crosses_a_milestone() -> None:
    window = timedelta(minutes=55)
    midnight = OPENED.replace(hour=0, minute=0)
    days = [midnight + timedelta(days=day) for day in range(367)]
    published = [(day + after_midnight, popularity) for day in days for after_midnight, popularity in SLOTS]
    # A stretch that begins in one of these sees the crossing, and began after the publication.
    starts = sorted(
        (max(published_at, crossed_at - window), crossed_at)
        for published_at, popularity in published
        if published_at >= OPENED
        for crossed_at in crossings(published_at, popularity)
    )
    covered = OPENED + BACK_CATALOGUE
    for first, end in starts:
        if end > covered:
            assert first <= covered, f"nothing happens within {window} from {covered}"
            covered = end
        if covered > OPENED + YEAR:
            break
    assert covered > OPENED + YEAR


@pytest.mark.parametrize("minute", [0, 17, 59])
def test_a_newcomer_sees_a_crossing_in_the_next_hour(minute: int) -> None:
    for opening_hour in range(24):
        opened_at = datetime(2026, 11, 20, opening_hour, minute, tzinfo=UTC)
        now = opened_at + BACK_CATALOGUE
        before, after = at(now, opened_at), at(now + timedelta(hours=1), opened_at)
        assert any(before[key].views < milestone <= after[key].views for key in before for milestone in MILESTONES)


@given(moments, moments)
def test_no_article_vanishes_and_no_counter_falls(one: datetime, other: datetime) -> None:
    earlier, later = at(min(one, other)), at(max(one, other))
    assert list(later)[: len(earlier)] == list(earlier)
    for key, article in earlier.items():
        now = later[key]
        assert (now.views, now.likes, now.comments) >= (article.views, article.likes, article.comments)
        assert now.likes >= article.likes
        assert now.comments >= article.comments
        assert now.published_at == article.published_at


@given(moments)
def test_the_numbers_are_those_of_the_published_formula(now: datetime) -> None:
    popularity_at = dict(SLOTS)
    for article in list(at(now).values())[-20:]:
        midnight = article.published_at.replace(hour=0, minute=0)
        popularity = popularity_at[article.published_at - midnight]
        weighted = Decimal(0)
        moment = article.published_at
        while moment < now:
            until = min(now.replace(microsecond=0), Hour.of(moment).end)
            weighted += int((until - moment).total_seconds()) * simulation.HOUR_WEIGHTS[moment.hour]
            moment = Hour.of(moment).end
        with localcontext(prec=60):
            views = int(popularity * (weighted / 360_000) ** Decimal("0.75")) if weighted else 0
        assert (article.views, article.likes, article.comments) == (
            views,
            views * 37 // 1000,
            views * 4 // 1000,
        )


def test_a_new_account_is_small_and_says_that_it_is_simulated() -> None:
    articles = at(OPENED + BACK_CATALOGUE).values()
    assert 12 <= len(articles) <= 15
    assert all(article.title.startswith("Simulated article") for article in articles)
    assert all(0 <= article.comments < article.likes < article.views < 10_000 for article in articles)


def test_pages_begin_with_the_oldest_article() -> None:
    published = [article.published_at for article in at(OPENED + timedelta(days=9)).values()]
    assert published == sorted(published)
    assert min(published) >= OPENED
    assert sum(simulation.HOUR_WEIGHTS) == 2400
