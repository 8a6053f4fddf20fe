"""What an account shows: its articles and their cumulative numbers at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Article:
    """One article as the platform would list it. ``published_at`` carries its offset."""

    key: str
    title: str
    published_at: datetime
    views: int
    likes: int
    comments: int
