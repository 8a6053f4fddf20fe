"""`ratchet show`, `ratchet report` and `ratchet mark`, as processes see them: output, files, exit codes."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from rich.console import Console

from pipeline import cli
from pipeline.cli.show import _print_items, sparkline
from pipeline.core.analysis.marks import marks
from pipeline_tests.core.account import Account
from pipeline_tests.site.pages import HOURS, TITLES, made_site


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Account]:
    folder = tmp_path_factory.mktemp("looking")
    _, account = made_site(folder)
    attributes: dict[str, Any] = {
        "source": "blog",
        "platform": {"kind": "note", "session_cookie": "planted"},
        "timezone": "Asia/Tokyo",
        "end": "2026-11-02T05",
    }
    for name, more in (("blog", {}), ("empty", {"source": "empty", "end": None})):
        file = folder / "defs" / name / "defs.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(yaml.safe_dump({"type": "pipeline.components.CounterSource", "attributes": attributes | more}))
    return folder, account


def _ratchet(folder: Path, *arguments: str, **more: str) -> Result:
    environment = {"RATCHET_DATA": str(folder), "RATCHET_DEFS": str(folder / "defs"), "COLUMNS": "120"} | more
    return CliRunner().invoke(cli.cli, list(arguments), env=environment)


def _explained(folder: Path, *arguments: str) -> str:
    """What went wrong, as the command line would say it."""
    found = _ratchet(folder, *arguments)
    assert found.exception is not None
    return str(found.exception)


def test_show_lists_the_items_with_what_they_gained(made: tuple[Path, Account]) -> None:
    found = _ratchet(made[0], "show", "blog")
    assert found.exit_code == 0, found.output
    assert "Spike" in found.output
    assert "+1,029" in found.output
    assert "The first 36 hours\nWithheld: 0 items published while watched can be used" in found.output
    assert re.search(r", last captured 2026-11-0\d \d\d:\d\d UTC$", found.output, re.MULTILINE)
    assert "marked <b>cross-posted</b> (Ada): </script>" in found.output


@pytest.mark.parametrize("columns", [20, 60, 120])
def test_show_prints_every_column_where_no_terminal_is(made: tuple[Path, Account], columns: int) -> None:
    found = _ratchet(made[0], "show", "blog", COLUMNS=str(columns)).output.splitlines()
    assert found[2].split() == ["item", "30", "days", "now", "1h", "24h", "7d", "30d", "rank", "id"]
    ids = {line.split()[-1] for line in found[3 : found.index("", 3)]}
    assert ids >= {"n1", "n2", *TITLES}


@pytest.mark.parametrize("columns", [40, 90, 140])
def test_show_shortens_titles_and_nothing_else_where_a_terminal_is_narrow(columns: int) -> None:
    gains = {"1h": 1, "24h": 24, "7d": 7, "30d": 30}
    ids = ["https://example.com/?p=1", "n_1*"]
    items = [
        {
            "item_id": item,
            "title": "T" * 60,
            "days": [1] * 30,
            "observed": [True] * 30,
            "value": 5,
            "gained": gains,
            "rank": 1,
            "climbed": 0,
        }
        for item in ids
    ]
    out = io.StringIO()
    console = Console(file=out, width=columns, force_terminal=True, color_system=None)
    _print_items(console, {"items": items})
    header, *rows = out.getvalue().splitlines()
    assert header.split() == [
        "item",
        *("30 days" if columns >= 100 else "14 days").split(),
        "now",
        *gains,
        "rank",
        "id",
    ]
    assert [row.split()[-1] for row in rows] == ids
    assert console.width == columns
    if columns >= 90:
        assert max(map(len, rows)) <= columns


def test_a_day_that_brought_little_is_no_day_that_brought_nothing() -> None:
    seen = [False] + [True] * 5
    assert sparkline([None, 0, 1, 50, 1_000, -3], seen) == "·▁▂▂█▁"
    assert sparkline([0, None], [True, False]) == "▁·"


def test_the_first_day_of_a_source_is_no_day_without_observation(made: tuple[Path, Account]) -> None:
    found = json.loads(_ratchet(made[0], "show", "blog", "n1", "--json").stdout)
    [item] = found["items"]
    first = item["observed"].index(True)
    assert item["days"][first] is None
    assert sparkline(item["days"], item["observed"])[first - 1 : first + 1] == "·–"


def test_what_happened_to_an_item_names_it_after_the_words(made: tuple[Path, Account]) -> None:
    found = _ratchet(made[0], "show", "blog").output
    assert re.search(r"  crossed 200 views \(195 → 201\): ab ab [ab ]+… \[long\]$", found, re.MULTILINE), found


def test_show_prints_one_json_object_of_numbers_and_reasons(made: tuple[Path, Account]) -> None:
    found = json.loads(_ratchet(made[0], "show", "blog", "--json", "--counter", "likes").stdout)
    assert found["counter"] == "likes"
    assert {item["item_id"]: item["title"] for item in found["items"]}.items() >= TITLES.items()
    spike = next(item for item in found["items"] if item["item_id"] == "n1")
    assert spike["gained"] == {"1h": 0, "24h": 0, "7d": None, "30d": None}
    assert spike["notes"]["7d"] == "no observation about 7 days before the newest"


def test_show_tells_of_one_item_alone(made: tuple[Path, Account]) -> None:
    found = json.loads(_ratchet(made[0], "show", "blog", "n2", "--json").stdout)
    [item] = found["items"]
    assert item["value"] == 3 * (HOURS - 1 - 3)
    assert item["days"][-2:] == [3 * (23 - 3), 3 * 6]
    assert {happening["item_id"] for happening in found["happened"]} == {"n2", None}
    [refused] = [happening for happening in found["happened"] if happening["kind"] == "quarantined"]
    assert refused["words"].startswith("views fell for 1 item")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", "blog", "nope"), "has no item of that id"),
        (("show", "blog", "--counter", "nope"), "Its counters are: views, likes, comments."),
        (("show", "empty"), "accepted nothing yet"),
        (("report",), "Name one source, or all."),
        (("report", "blog", "--all"), "Name one source, or all."),
        (("report", "nope"), "There is no source called 'nope'."),
        (("mark", "blog", "posted", "--item", "nope"), "no item 'nope'"),
        (("mark", "blog", "posted", "--at", "noon"), "no time with an offset"),
        (("mark", "blog", "posted", "--at", "2026-11-01T10:00:00"), "no time with an offset"),
        (("mark", "blog", "  "), "1 to 300 characters"),
    ],
)
def test_what_cannot_be_is_said_in_words(made: tuple[Path, Account], arguments: tuple[str, ...], words: str) -> None:
    assert words in _explained(made[0], *arguments)


def test_report_makes_the_pages_again(made: tuple[Path, Account]) -> None:
    folder, _ = made
    page = folder / "site" / "blog.html"
    page.unlink()
    found = _ratchet(folder, "report", "--all")
    assert found.exit_code == 0, found.output
    assert found.stdout.splitlines() == [str(page), str(folder / "site" / "index.html")]
    assert "empty has accepted nothing yet." in found.stderr
    assert page.exists()


def test_a_mark_is_signed_kept_and_stands_on_the_page(made: tuple[Path, Account]) -> None:
    folder, account = made
    arguments = ("newsletter sent", "--item", "n1", "--at", "2026-11-01T10:00:00+02:00", "--by", "Ada")
    assert _ratchet(folder, "mark", "blog", *arguments).exit_code == 0
    [mark] = [mark for mark in marks(account.lake) if mark.item_id == "n1"]
    assert (mark.text, mark.by, mark.at.isoformat()) == ("newsletter sent", "Ada", "2026-11-01T08:00:00+00:00")
    _ratchet(folder, "report", "blog")
    assert "newsletter sent (Ada)" in (folder / "site" / "blog.html").read_text()


@pytest.mark.parametrize("module", ["show", "report", "mark"])
def test_looking_imports_no_dagster(module: str) -> None:
    code = (
        f"import sys, pipeline.cli.{module}, pipeline.site.build, pipeline.core.analysis.happenings;"
        "sys.exit('dagster' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_time_zone_is_one_of_the_database(made: tuple[Path, Account]) -> None:
    folder, _ = made
    file = folder / "defs" / "blog" / "defs.yaml"
    text = file.read_text()
    file.write_text(text.replace("Asia/Tokyo", "Asia/Nowhere"))
    try:
        said = _explained(folder, "report", "blog")
    finally:
        file.write_text(text)
    assert "timezone: a time zone is a name of the IANA database" in said
    assert "Nowhere" not in said
