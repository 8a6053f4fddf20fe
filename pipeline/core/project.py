"""Where a checkout keeps what Ratchet needs: sources, lake, Dagster's home, the environment.

RATCHET_DEFS and RATCHET_DATA move the sources and the data elsewhere, for containers and tests;
RATCHET_ARCHIVES names other folders, as PATH does, where archives of packed months may lie.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import ConfigError
from pipeline.core.lake import Lake

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Project:
    """The folders of one checkout. ``defs``: a folder for each source. ``data``: everything that is written.

    ``archives``: where archives of packed months may lie, beside the lake's own folders.
    """

    defs: Path
    data: Path
    archives: tuple[Path, ...] = ()

    @classmethod
    def here(cls) -> Project:
        """The folders that the environment names, those of the checkout where it names none."""
        return cls(
            defs=Path(os.environ.get("RATCHET_DEFS", ROOT / "pipeline" / "defs")).resolve(),
            data=Path(os.environ.get("RATCHET_DATA", ROOT / "data")).resolve(),
            archives=tuple(map(Path, filter(None, os.environ.get("RATCHET_ARCHIVES", "").split(os.pathsep)))),
        )

    @property
    def lake(self) -> Lake:
        """The lake of these data, under ``lake/``."""
        return Lake(self.data / "lake", self.archives)

    @property
    def dagster_home(self) -> Path:
        """What Dagster takes for DAGSTER_HOME: its configuration, runs and event log."""
        return self.data / "dagster"

    def source_files(self) -> list[Path]:
        """The YAML file of every source, by name of its folder."""
        return sorted(self.defs.glob("*/defs.yaml"))


def env_file() -> Path:
    """Where the secrets of this checkout lie; git ignores it."""
    return ROOT / ".env"


def environment() -> Mapping[str, str]:
    """The variables of this process over those of the checkout's ``.env``, read anew each time.

    Raises ConfigError where that file cannot be read.
    """
    from dotenv import dotenv_values

    try:
        from_file = {name: value for name, value in dotenv_values(env_file()).items() if value is not None}
    except (OSError, UnicodeDecodeError) as fault:
        step = f"It is text in UTF-8 that you may read: {type(fault).__name__}."
        raise ConfigError("the file cannot be read", step, file=env_file()) from None
    return {**from_file, **os.environ}
