"""`ratchet verify` and `ratchet compact` as their owner types them: exit codes, words, and the files they leave."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from pipeline import graph
from pipeline.core.hours import Hour
from pipeline.core.lake import DELTA, RAW, REPORT, REPORT_TEXT, VALIDATED
from pipeline.core.publishing import SENDING
from pipeline.core.storage import storage_lines, storage_of
from pipeline.core.untold import untold
from pipeline_tests.dagster_parts import BLOG, HOUR, MOMENT, Blog, ratchet, stored_files

NEXT_MONTH = MOMENT + timedelta(days=28)


@pytest.fixture
def observed(blog: Blog) -> Blog:
    """Two hours of April and one of May, months ago."""
    for hours in (0, 1):
        blog.capture(MOMENT + timedelta(hours=hours))
    blog.capture(NEXT_MONTH)
    return blog


def published(blog: Blog) -> dict[str, bytes]:
    found = stored_files(blog.lake.root)
    return {name: content for name, content in found.items() if name.split("/")[0] not in ("checksums", "superseded")}


def test_verify_names_what_is_damaged_and_repair_makes_it_again(observed: Blog) -> None:
    sound = ratchet("verify", BLOG)
    assert (sound.returncode, sound.stderr) == (0, "")
    assert "files are sound" in sound.stdout
    before = published(observed)
    path = observed.lake.place(DELTA, HOUR)
    path.write_bytes(b"half a file")
    damaged = ratchet("verify")
    assert damaged.returncode == 16
    assert f"{BLOG}/delta/month=2026-04/{HOUR.key}.parquet" in damaged.stderr
    assert damaged.stderr.strip().endswith(f"ratchet verify {BLOG} --repair")
    repaired = ratchet("verify", BLOG, "--repair")
    assert repaired.returncode == 0, repaired.stderr
    assert published(observed) == before
    assert ratchet("verify").returncode == 0


def test_what_a_killed_run_left_is_named_by_status_and_verify_and_finished_by_the_repair(observed: Blog) -> None:
    moment = NEXT_MONTH + timedelta(hours=1)
    left = Hour.of(moment)
    assert observed.launch(graph.RAW, graph.SNAPSHOT, hour=left, moment=moment).success
    assert f"{left.key} is not finished yet" in ratchet("verify", BLOG).stdout
    assert f"! {BLOG}: not finished from {left.key} on.\n" in ratchet("status", BLOG).stdout
    repaired = ratchet("verify", BLOG, "--repair")
    assert repaired.returncode == 0, repaired.stderr
    assert f"{BLOG}: finished what an earlier run left, from {left.key} on.\n" in repaired.stdout
    assert "not finished" not in repaired.stdout + ratchet("status", BLOG).stdout
    assert all(observed.lake.exists(kind, left) for kind in (DELTA, REPORT, REPORT_TEXT))
    assert untold(observed.lake) == {left}


def test_the_folder_of_the_project_is_looked_at_beside_the_sources(observed: Blog) -> None:
    of_all = observed.project.lake.project
    with of_all.sending():
        of_all.write_note("channel", {"failures": 0}, by=SENDING)
    sound = ratchet("verify")
    assert (sound.returncode, sound.stderr) == (0, "")
    assert "_project: " in sound.stdout


def test_a_lost_capture_is_acknowledged_by_the_repair_and_named_ever_after(observed: Blog) -> None:
    [capture] = observed.lake.captures(HOUR, HOUR)
    observed.lake.place(RAW, HOUR, capture.name).unlink()
    assert ratchet("verify", BLOG).returncode == 16
    repaired = ratchet("verify", BLOG, "--repair")
    assert repaired.returncode == 0
    assert "cannot be made again" in repaired.stderr
    later = ratchet("verify", BLOG)
    assert (later.returncode, later.stderr) == (0, "")
    assert f"{capture.name}: the raw capture is lost" in later.stdout


def test_a_source_that_is_nowhere_is_named(observed: Blog) -> None:
    for command in ("verify", "compact"):
        asked = ratchet(command, "nobody")
        assert asked.returncode == 2
        assert "nobody" in asked.stderr


def test_compact_packs_what_is_over_finds_it_elsewhere_and_unpacks_it(observed: Blog, tmp_path: Path) -> None:
    before = published(observed)
    done = ratchet("compact")
    assert done.returncode == 0, done.stderr
    assert f"{BLOG}: 2026-04 packed, 14 files into one archive" in done.stdout
    assert "no finished month" in ratchet("compact", BLOG).stdout
    observed.lake.archive("2026-04").rename(tmp_path / f"{BLOG}-2026-04.zip")
    missing = ratchet("export", BLOG, "-o", str(tmp_path / "all.csv"))
    assert missing.returncode == 16
    assert f"{BLOG}-2026-04.zip is needed" in missing.stderr
    found = ratchet("export", BLOG, "-o", str(tmp_path / "all.csv"), RATCHET_ARCHIVES=str(tmp_path))
    assert found.returncode == 0, found.stderr
    assert ratchet("verify", RATCHET_ARCHIVES=str(tmp_path)).returncode == 0
    undone = ratchet("compact", BLOG, "--undo", "2026-04", RATCHET_ARCHIVES=str(tmp_path))
    assert undone.stdout == f"{BLOG}: 2026-04 unpacked, 14 files.\n"
    assert published(observed) == before
    assert ratchet("compact", BLOG, "--undo", "2026-04").returncode == 2


def test_storage_says_what_a_year_takes_packed_and_not(observed: Blog) -> None:
    [line] = storage_lines([storage_of(observed.lake)])
    assert line.startswith(f"{BLOG}: ")
    assert "for 3 hours; a year of its hours takes" in line
    assert "compacted" not in line
    room = storage_of(observed.lake)
    assert room.bytes_per_year == round(room.bytes / 3 * 8_760)
    assert ratchet("compact", BLOG).returncode == 0
    packed = storage_of(observed.lake)
    assert (packed.hours, packed.packed_hours) == (3, 2)
    assert packed.bytes_per_year is not None
    assert "compacted" in next(storage_lines([packed]))
    assert observed.lake.exists(VALIDATED, Hour.of(MOMENT))
