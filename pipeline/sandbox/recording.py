"""A recorded account: what a real one showed, capture by capture, in the order in which it was listed.

The file is CSV with the columns captured_at, item_id, published_at, read_count, like_count and
comment_count; times are ISO 8601 with their offset, counts are cumulative, and rows stand in the
order of the platform's listing. Titles were not recorded, so the titles shown say no more than that.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Self

from pipeline.core.errors import ConfigError
from pipeline.core.hours import parse_time
from pipeline.sandbox.article import Article


@dataclass(frozen=True)
class Recording:
    """Every capture of a recorded account, by its time and in order of time."""

    by_capture: Mapping[datetime, tuple[Article, ...]] = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file. Raises ConfigError where it is missing or not of the form above."""
        by_capture: dict[datetime, list[Article]] = {}
        times: dict[str, datetime] = {}
        try:
            with path.open(newline="", encoding="utf-8") as file:
                rows = csv.DictReader(file)
                for row in rows:
                    for text in (row["captured_at"], row["published_at"]):
                        times[text] = times.get(text) or parse_time(text)
                    by_capture.setdefault(times[row["captured_at"]], []).append(_article(row, times))
        except OSError as error:
            raise ConfigError(
                f"the recording cannot be read: {error.strerror}", "Restore the file.", file=path
            ) from error
        except (KeyError, ValueError, TypeError, csv.Error) as error:
            raise ConfigError(
                "this row is not one of a recording",
                "Restore the file; data/README.md names its columns.",
                file=path,
                line=rows.line_num,
            ) from error
        return cls({moment: tuple(by_capture[moment]) for moment in sorted(by_capture)})

    @property
    def captures(self) -> tuple[datetime, ...]:
        """The times of the captures (UTC), earliest first."""
        return tuple(self.by_capture)

    def articles(self, captured_at: datetime) -> tuple[Article, ...]:
        """One capture in the recorded order. Raises KeyError for a time without a capture."""
        return self.by_capture[captured_at]


class RecordedAccount:
    """A `listing` for the sandbox that shows one capture of a recording at a time."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._shown_at = recording.captures[0]

    def show(self, captured_at: datetime) -> None:
        """Show the capture of this time from now on. Raises KeyError for a time without a capture."""
        self._recording.articles(captured_at)
        self._shown_at = captured_at

    def shown_at(self) -> datetime:
        """The time of the capture that is shown: a `clock` for the sandbox."""
        return self._shown_at

    def __call__(self) -> tuple[Article, ...]:
        """The articles of the capture that is shown now, in the listing's order."""
        return self._recording.articles(self._shown_at)


def _article(row: dict[str, str], times: Mapping[str, datetime]) -> Article:
    return Article(
        key=row["item_id"],
        title=f"Recorded article {row['item_id']}",
        published_at=times[row["published_at"]],
        views=int(row["read_count"]),
        likes=int(row["like_count"]),
        comments=int(row["comment_count"]),
    )
