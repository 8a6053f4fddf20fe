"""What a process keeps of the hours that it captured: `python -m pipeline_tests.soak.kept --captures 120`.

Counted is what the C library has given out and not got back (`mallinfo2` of glibc), which the free room between
things, most of what the resident size moves by, is no part of. Python's own small objects lie elsewhere: they are
counted one by one.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from pipeline_tests.bench.runs import FIRST, project

_FIELDS = ["arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"]


class _Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in _FIELDS]


def given_out() -> Callable[[], int]:
    """A function that tells the bytes given out now. Raises AttributeError before glibc 2.33."""
    info = ctypes.CDLL(None).mallinfo2
    info.restype = _Info
    return lambda: int(info().uordblks)


def main() -> None:
    """Capture hour after hour of one source in this process, pages included, and print what is left of it."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--captures", type=int, default=120)
    asked.add_argument("--every", type=int, default=40)
    chosen = asked.parse_args()
    bytes_now = given_out()
    with TemporaryDirectory() as folder, project(Path(folder)) as (environment, account):
        os.environ.update(environment)
        from pipeline.collecting import capture_hour
        from pipeline.core.model import Origin
        from pipeline.core.observe import RecordedClock
        from pipeline.core.project import Project
        from pipeline.core.sources import find_source
        from pipeline.running import SourceRuns, dagster_instance

        here = Project.here()
        source = find_source(here, "bench")
        lake = here.lake.source(source.name)
        with lake.writing(), dagster_instance(here) as instance:
            for number in range(1, chosen.captures + 1):
                hour = FIRST + number
                capture_hour(SourceRuns.of(source, instance), lake, hour, RecordedClock(hour.start, Origin.LIVE))
                account.grow()
                if number % chosen.every == 0:
                    gc.collect()
                    left = f"{bytes_now() / 2**20:.2f} MB, {len(gc.get_objects()):,} objects"
                    click.echo(f"{number} captures: {left}")


if __name__ == "__main__":
    main()
