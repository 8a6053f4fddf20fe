"""A sound YAML of a source, and what becomes of one that was bent."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipeline.core.errors import ConfigError
from pipeline.core.model import Source
from pipeline.core.sources import read_source

SECRET = "planted-7c1f-secret"
SOUND = """\
type: pipeline.components.CounterSource
attributes:
  source: my_blog
  platform:
    kind: note
    session_cookie: "{{ env.COOKIE }}"
  counters:
    views: never_decreases
    likes: {policy: tolerance, tolerance: 0.05, optional: true}
  rules:
    - {counter: views, crosses: [500, 100]}
    - {counter: views, rate_above: 50, per: minute, rearm_below: 25}
    - {counter: likes, gained: 10%, cooldown: 6h}
"""


END = SOUND.count("\n") + 1  # the line of what is added to SOUND


def read(folder: Path, text: str, env: Mapping[str, str] | None = None, name: str = "my_blog") -> Source:
    file = folder / name / "defs.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return read_source(file, {"COOKIE": "session", "SECRET": SECRET, **(env or {})})


def refused(folder: Path, text: str, env: Mapping[str, str] | None = None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(folder, text, env)
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + str(caught.value)
    assert SECRET not in told
    assert caught.value.file == folder / "my_blog" / "defs.yaml"
    return caught.value
