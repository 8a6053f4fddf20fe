"""An account that YAML describes, and what a capture of it brings over real HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from pipeline.core.sources import read_source
from pipeline.platforms import adapter
from pipeline.platforms.client import fetch_pages
from pipeline.platforms.protocol import Columns, Page, Platform
from pipeline_tests.platforms.conftest import NOW

Items = list[dict[str, Any]]

POSTS = """
path: /api/posts
items: posts
fields: {item_id: id, title: title, url: link, published_at: at}
counters: {views: views, likes: {value: likes, policy: may_decrease}}
"""


def post(number: int, **changes: Any) -> dict[str, Any]:
    """One item of a reply that POSTS describes."""
    at = f"2026-11-{number:02}T09:00:00+09:00"
    sound = {"id": number, "title": f"Post {number}", "link": f"https://a.example/{number}", "at": at}
    return sound | {"views": 100 * number, "likes": 10 * number} | changes


def posts(count: int) -> Items:
    return [post(number) for number in range(1, count + 1)]


def described(text: str, url: str = "http://127.0.0.1:9", kind: str = "json_api") -> Platform:
    """The platform that the YAML under `platform:` describes."""
    settings = yaml.safe_load(text)
    return adapter(kind).model_validate({"base_url": url, "requests_per_second": 10_000, **settings, "kind": kind})


def loaded(folder: Path, platform: str, env: dict[str, str]) -> Platform:
    """The same by way of a source's own file, as everybody's sources are loaded."""
    file = folder / "mine" / "defs.yaml"
    file.parent.mkdir(exist_ok=True)
    lines = "".join(f"    {line}\n" for line in platform.strip().splitlines())
    file.write_text(f"type: pipeline.components.CounterSource\nattributes:\n  source: mine\n  platform:\n{lines}")
    return read_source(file, env).platform


def fetched(platform: Platform, max_pages: int = 100, max_bytes: int = 1_000_000) -> list[Page]:
    return list(fetch_pages(platform, (), max_pages=max_pages, max_bytes=max_bytes, now=lambda: NOW))


def rows(columns: Columns) -> Items:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def collected(platform: Platform) -> Items:
    """Every item of one capture, read from the pages as they would be stored."""
    return [item for page in fetched(platform) for item in rows(platform.read(platform.trim(page)))]
