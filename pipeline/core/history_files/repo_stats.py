"""The data branch of jgehrcke/github-repo-stats: what it kept of one repository on GitHub, day by day.

Its folder ``ghrs-data`` holds (read from that project's own test data and its entrypoint.sh)

    views_clones_aggregate.csv  time_iso8601, clones_total, clones_unique, views_total, views_unique: of each day
    stargazers.csv, forks.csv   time_iso8601, stars_cumulative or forks_cumulative: the number from that time on
    stargazer-snapshots.csv     time_iso8601, stargazers_cumulative_snapshot: the same, for large repositories

Every day becomes one capture at its last second, with the stars and forks of that time. Views and
clones are numbers of a day: for a counter that the platform tells per day they are just that, and
the fold adds them up; for any other they are summed up here. Unique visitors of two days can be one
person, so no sum of them means anything, and they are left out. So are days that are not over, and
days before the first known number of a counter: what was not recorded is not zero.
"""

from __future__ import annotations

import csv
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from pipeline.core.errors import ConfigError
from pipeline.core.history_files.csv_text import csv_header, reading_text
from pipeline.core.history_files.past import Past, moment
from pipeline.core.history_files.rows import require_columns
from pipeline.core.imported import rows_page
from pipeline.core.model import Source
from pipeline.platforms.protocol import Page

_TIME = "time_iso8601"
_OF_A_DAY = {"views_total": "views", "clones_total": "clones"}
_SO_FAR = {"stars_cumulative": "stars", "stargazers_cumulative_snapshot": "stars", "forks_cumulative": "forks"}
_COLUMNS = _OF_A_DAY | _SO_FAR
_LAST_SECOND = time(23, 59, 59, tzinfo=UTC)

_Told = list[tuple[datetime, int]]


def is_repo_stats(path: Path) -> bool:
    """Whether a CSV file begins as those of github-repo-stats do."""
    header = csv_header(path)
    return header[:1] == [_TIME] and any(name in _COLUMNS for name in header)


def read_repo_stats(path: Path, source: Source, item: str | None, now: datetime) -> Past:
    """The days of a folder, or of one of its files. Raises ConfigError."""
    if item is None:
        step = "Say which repository it is: --item OWNER/NAME."
        raise ConfigError("the files of github-repo-stats do not name their repository", step, file=path)
    files = [path] if path.is_file() else sorted(file for file in path.glob("*.csv") if is_repo_stats(file))
    if not files:
        raise ConfigError("there is no file of github-repo-stats in it", "Name its folder ghrs-data.", file=path)
    columns = _read(files, source)
    counters = {_COLUMNS[name]: told for name, told in columns.items()}
    require_columns(path, ["captured_at", "item_id", *counters], source.counters)
    days = _Days(path.name, item, source, columns, now.astimezone(UTC).date())
    return Past(tuple(days.moments()), days.pages, lambda at: (path, None))


def _read(files: list[Path], source: Source) -> dict[str, _Told]:
    """What the files tell of the source's counters, by column; where two tell of one counter, the first of _COLUMNS."""
    found: dict[str, _Told] = {}
    for file in files:
        for name in csv_header(file):
            if _COLUMNS.get(name) in source.counter_names:
                found[name] = sorted(_numbers(file, name))
    chosen = {_COLUMNS[name]: name for name in reversed(_COLUMNS) if name in found}
    if not chosen:
        names = ", ".join(source.counter_names)
        raise ConfigError(f"it tells of none of the source's counters, which are {names}", "Add one.", file=files[0])
    return {name: found[name] for name in _COLUMNS if name in chosen.values()}


def _numbers(file: Path, column: str) -> Iterator[tuple[datetime, int]]:
    with reading_text(file) as opened:
        rows = csv.DictReader(opened)
        try:
            for row in rows:
                number = int(row[column])
                yield moment(row[_TIME], None), number
        except (TypeError, ValueError, csv.Error) as fault:
            raise ConfigError(
                f"the row tells no time and {column}: {fault}", "Mend the file.", file=file, line=rows.line_num
            ) from None


@dataclass(frozen=True)
class _Days:
    """One item whose columns become one capture a day."""

    file: str
    item: str
    source: Source
    columns: dict[str, _Told]
    today: date

    def moments(self) -> Iterator[datetime]:
        of_days = [{at.date() for at, _ in told} for name, told in self.columns.items() if name in _OF_A_DAY]
        so_far = [told for name, told in self.columns.items() if name in _SO_FAR]
        days = set.intersection(*of_days) if of_days else {at.date() for told in so_far for at, _ in told}
        first = max((told[0][0].date() for told in so_far if told), default=date.min)
        yield from (datetime.combine(day, _LAST_SECOND) for day in sorted(days) if first <= day < self.today)

    def pages(self, at: datetime) -> list[Page]:
        row: dict[str, list[Any]] = {"item_id": [self.item], "url": [f"https://github.com/{self.item}"]}
        row |= {_COLUMNS[name]: [self._number(name, at)] for name in self.columns}
        return [rows_page(self.file, at, row)]

    def _number(self, name: str, at: datetime) -> int | None:
        times, numbers = zip(*self.columns[name], strict=True)
        place = bisect_right(times, at)
        if name in _SO_FAR:
            return int(numbers[place - 1]) if place else None
        if _COLUMNS[name] in self.source.platform.windows:
            return int(numbers[place - 1])
        return int(sum(numbers[:place]))
