"""The sources of the project, read again where a YAML file or ``.env`` changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core.model import Source
from pipeline.core.project import Project, env_file
from pipeline.core.sources import sound_sources
from pipeline.metrics.stamps import Kept, stamp


@dataclass
class KnownSources:
    """The sound ones, and the names of the others: a source is called as its folder."""

    project: Project
    _kept: Kept[tuple[list[Source], list[str]]] = field(default_factory=Kept)

    def read(self) -> tuple[list[Source], list[str]]:
        """The sound sources, and the names of those that cannot load."""
        files = self.project.source_files()
        key = tuple(files)
        return self._kept.get(key, tuple(map(stamp, (*files, env_file()))), lambda: self._read(files))

    def _read(self, files: list[Path]) -> tuple[list[Source], list[str]]:
        sound, _ = sound_sources(self.project)
        names = {source.name for source in sound}
        return sound, [file.parent.name for file in files if file.parent.name not in names]
