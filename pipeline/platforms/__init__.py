"""Where counters live: one adapter a module, and the HTTP client that they share.

An adapter holds what Ratchet knows about one platform (`protocol` says what that is); `client`
is the only module that opens a connection. Adapters are named here and imported when a source
asks for one, so that a platform's libraries cost nothing to those who do not use it.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.platforms.protocol import Platform

KINDS: dict[str, str] = {
    "forem": "pipeline.platforms.forem:Forem",
    "github": "pipeline.platforms.github:GitHub",
    "json_api": "pipeline.platforms.json_api.adapter:JsonApi",
    "mastodon": "presets/mastodon.yaml",
    "note": "pipeline.platforms.note:Note",
    "openmetrics": "pipeline.platforms.openmetrics.adapter:OpenMetrics",
    "points": "pipeline.platforms.points.adapter:Points",
    "qiita": "presets/qiita.yaml",
    "youtube": "pipeline.platforms.youtube:YouTube",
    "zenn": "presets/zenn.yaml",
}
"""The `kind` of a source's platform, and where its adapter lies: as "module:Class", or the YAML of a preset."""


def adapter(kind: str) -> type[Platform]:
    """The adapter's class of one kind of platform. Raises KeyError for an unknown kind."""
    where = KINDS[kind]
    if where.endswith(".yaml"):
        from pipeline.platforms.json_api.preset import preset

        return preset(Path(__file__).parent / where)
    module, _, name = where.partition(":")
    found: type[Platform] = getattr(import_module(module), name)
    return found
