"""An account on GitHub with the traffic of one repository, told as windows; and what its totals must be.

`expected_total` is written from the words of pipeline/core/windows.py in the plainest way: it looks at
every window ever told and carries no state.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline.core.model import Counter, Rule
from pipeline.core.policy import Policy, Trend
from pipeline.platforms.github import GitHub
from pipeline.platforms.protocol import Page

from .account import COOKIE, Account
from .snapshots import at

REPOSITORY = "octo/busy"
COUNTERS = tuple(Counter(name, Policy(Trend.NEVER_DECREASES), optional=True) for name in ("views", "clones"))
STARS = Counter("stars", Policy(Trend.MAY_DECREASE), optional=True)
FIRST_DAY = at(0).date()
Window = Mapping[int, Any]
"""What is told of each day, counted from the day of the first capture."""


def day(number: int) -> date:
    return FIRST_DAY + timedelta(days=number)


def traffic_account(folder: Path, *, rules: Sequence[Rule] = (), **changes: Any) -> Account:
    platform = GitHub.model_validate({"repositories": [REPOSITORY, "octo/quiet"], "token": COOKIE, "traffic": True})
    counters = (STARS, *COUNTERS)
    return Account.under(folder, platform=platform, counters=counters, rules=tuple(rules), **changes)


def told(views: Window | None, clones: Window | None = None, *, repository: str = REPOSITORY) -> list[Page]:
    """The pages of one capture of one repository; the page of a counter that is None is not among them."""
    found = {"full_name": repository, "stargazers_count": 1, "forks_count": 0, "subscribers_count": 0}
    pages = [_page(f"GET /repos/{repository}", found)]
    for counter, window in (("views", views), ("clones", clones)):
        if window is not None:
            days = [{"timestamp": _timestamp(number), "count": count} for number, count in window.items()]
            pages.append(_page(f"GET /repos/{repository}/traffic/{counter}?per=day", {counter: days}))
    return pages


def _timestamp(number: int) -> str:
    return f"{day(number)}T00:00:00Z"


def _page(request: str, body: Any) -> Page:
    return Page(request, 200, {"content-type": "application/json"}, at(0), json.dumps(body).encode())


def expected_total(windows: Sequence[Window]) -> int:
    return sum(highest_told(windows).values())


def highest_told(windows: Sequence[Window]) -> dict[date, int]:
    days = {number for window in windows for number in window}
    return {day(number): max(window[number] for window in windows if number in window) for number in sorted(days)}


def last_told(windows: Sequence[Window]) -> dict[date, int]:
    found: dict[date, int] = {}
    for window in windows:
        found |= {day(number): count for number, count in window.items()}
    return found


def midday(number: int) -> float:
    """Hours from the first capture to the middle of the day ``number``, in the measure of `snapshots.at`."""
    noon = datetime.combine(day(number), datetime.min.time(), at(0).tzinfo) + timedelta(hours=12)
    return (noon - at(0)) / timedelta(hours=1)
