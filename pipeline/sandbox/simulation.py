"""The demo's account: invented articles whose numbers are an exact function of the time.

Nine articles a day are published, at the times in SLOTS. With w the weighted age of an article in
hours, the sum of the time that it has been out with every hour of the day weighted by HOUR_WEIGHTS
(UTC, in percent, 100 on average), and K the article's popularity from SLOTS,

    views    = floor(K * w ** 0.75)
    likes    = floor(views * LIKES_PER_MILLE / 1000)
    comments = floor(views * COMMENTS_PER_MILLE / 1000)

So views come in at a rate that decays with the age as the power -0.25 and swings by a fifth with the
hour of the day. Dezsö et al., "Dynamics of information access on the web", Physical Review E 73,
066132 (2006), measured the decay of visits to news documents as a power law with the exponent
0.3 +- 0.1. Everything is computed in integers, hence no counter ever falls and every machine
gives the same numbers.

The times and popularities were searched for such that, once the account has been open for a day and
a half, an article that was out already crosses 100, 200, 500, 1000, 2000 or 5000 views in every
stretch of 55 minutes: every hourly capture has something to report. Six crossings an article and
24 hours a day leave no room for less than four articles a day. No article ever leaves the listing,
which therefore grows without bound; articles stand oldest first, so that pages do not shift while
they are read.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import isqrt

from pipeline.core.hours import format_time
from pipeline.sandbox.article import Article

SLOTS = (
    (timedelta(hours=1, minutes=50), 380),
    (timedelta(hours=3, minutes=32), 380),
    (timedelta(hours=5, minutes=55), 590),
    (timedelta(hours=7, minutes=48), 560),
    (timedelta(hours=10, minutes=42), 410),
    (timedelta(hours=14, minutes=38), 430),
    (timedelta(hours=17, minutes=14), 500),
    (timedelta(hours=18, minutes=8), 430),
    (timedelta(hours=22, minutes=19), 560),
)
"""Of every day (UTC): when an article is published, and its views after one hour of weight 100."""
# fmt: off
HOUR_WEIGHTS = (
    80, 81, 83, 86, 90, 95, 100, 105, 110, 114, 117, 119,
    120, 119, 117, 114, 110, 105, 100, 95, 90, 86, 83, 81,
)
# fmt: on
LIKES_PER_MILLE = 37
COMMENTS_PER_MILLE = 4
BACK_CATALOGUE = timedelta(hours=36)
"""How long an account must have been open until it crosses a milestone in every hour."""

_PERCENT_SECONDS = 100 * 3600
_DAY_WEIGHT = sum(HOUR_WEIGHTS) * 3600


def simulated_articles(now: datetime, *, opened_at: datetime) -> list[Article]:
    """Every article published from ``opened_at`` to ``now``, oldest first. Both carry their offset (UTC)."""
    midnight = opened_at.replace(hour=0, minute=0, second=0, microsecond=0)
    articles = []
    while midnight <= now:
        for after_midnight, popularity in SLOTS:
            published_at = midnight + after_midnight
            if opened_at <= published_at <= now:
                articles.append(_article(published_at, popularity, now))
        midnight += timedelta(days=1)
    return articles


def _article(published_at: datetime, popularity: int, now: datetime) -> Article:
    age = _weighted_time(now) - _weighted_time(published_at)
    views = isqrt(isqrt(popularity**4 * age**3 // _PERCENT_SECONDS**3))
    return Article(
        key=f"simulated-{published_at:%Y%m%d-%H%M}",
        title=f"Simulated article of {format_time(published_at)}",
        published_at=published_at,
        views=views,
        likes=views * LIKES_PER_MILLE // 1000,
        comments=views * COMMENTS_PER_MILLE // 1000,
    )


def _weighted_time(moment: datetime) -> int:
    """Seconds times the weight in percent of their hour, from 1 January of the year 1 to ``moment``."""
    seconds = 60 * moment.minute + moment.second
    whole_hours = sum(HOUR_WEIGHTS[: moment.hour]) * 3600
    return moment.toordinal() * _DAY_WEIGHT + whole_hours + HOUR_WEIGHTS[moment.hour] * seconds
