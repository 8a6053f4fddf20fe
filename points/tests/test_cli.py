"""The command ``points``: any language reports by it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ratchet_points import cli, foreign
from ratchet_points.refused import RefusedLines


def points_command(*arguments: str, given: bytes | None = None, **more: Any) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "ratchet_points", *arguments]
    return subprocess.run(command, input=given, capture_output=True, timeout=60, check=False, **more)


def emit(lake: Any, *arguments: str) -> int:
    return cli.main(["emit", "--spool", str(lake.folder), *arguments])


def stream(lake: Any, *lines: str | bytes) -> subprocess.CompletedProcess[bytes]:
    given = b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in lines)
    return points_command("emit", "--stream", "--app", "other", "--spool", str(lake.folder), given=given)


def refused(lake: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for path in lake.folder.glob("refused-*.jsonl") for line in path.read_text().splitlines()]


def test_one_event_with_options_between_its_attributes(lake: Any) -> None:
    assert emit(lake, "backup.done", "--app", "nightly", "seconds=42.5", "ok=true", "--who", "root", "host=db=1") == 0
    (one,) = lake.events()
    assert one["type"] == "backup.done"
    assert one["data"]["service.name"] == "nightly"
    assert one["data"]["user.id"] == "root"
    assert one["data"]["attributes"] == {"seconds": 42.5, "ok": True, "host": "db=1"}
    assert "code.file.path" not in one["data"]
    assert "thread.id" not in one["data"]


def test_an_error_with_its_place(lake: Any) -> None:
    assert emit(lake, "backup.failed", "--error", "--file", "backup.sh", "--line", "17", "password=hunter2") == 0
    (one,) = lake.events()
    assert one["kind"] == "quality"
    assert one["data"]["severity_text"] == "ERROR"
    assert (one["data"]["code.file.path"], one["data"]["code.line.number"]) == ("backup.sh", 17)
    assert "hunter2" not in lake.text()


def test_many_short_processes_share_a_file(lake: Any) -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "ratchet_points", "emit", "step", f"n={n}", "--spool", str(lake.folder)]
        )
        for n in range(4)
    ]
    assert [process.wait() for process in running] == [0] * 4
    assert sorted(one["data"]["attributes"]["n"] for one in lake.events()) == list(range(4))
    assert len(list(lake.folder.iterdir())) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["a", "b"],
        ["a", "=b"],
        [" "],
        ["a", "--unknown"],
        ["a", "--kind", "nonsense"],
        ["a", "--line", "x"],
        ["a", "--line", "3"],
        ["a", "--time", "yesterday"],
        ["a", "--time", "2026-02-31T00:00:00Z"],
        ["a", "--time", "2026-11-22T14:00:60Z"],
        ["a", "--time", "2026-11-22T14:00:00+99:99"],
        ["a", "--time", "0001-01-01T00:00:00+14:00"],
        ["--stream", "a"],
        ["a", "--app", " "],
    ],
)
def test_bad_input_is_one_clear_line(lake: Any, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        emit(lake, *arguments)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("points emit: ")
    assert said.count("\n") == 1
    assert not lake.folder.exists()


@pytest.mark.parametrize("arguments", [["a"], ["--stream"]])
def test_an_address_is_no_spool(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        cli.main(["emit", *arguments, "--app", "shop", "--spool", "http://127.0.0.1:9/events"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("points emit: the spool is a folder and cannot be an address")
    assert list(tmp_path.iterdir()) == []


def test_a_spool_that_cannot_be_written_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["emit", "a", "--spool", "/proc/cannot/be/made"]) == 16
    assert capsys.readouterr().err.count("\n") == 1


def test_a_stream_goes_on_after_lines_that_are_refused_and_keeps_them(lake: Any) -> None:
    done = stream(
        lake,
        '{"name": "a", "attributes": {"n": 1}, "time": "2026-11-22T14:00:00+01:00", "trace_id": "t", "who": "w"}',
        "not json",
        '{"nam": "a"}',
        "",
        "[1]",
        b'{"name": "\xff"}',
        '{"name": "a", "attributes": {"n": NaN}}',
        '{"name": "a", "kind": "x"}',
        '{"name": "a", "attributes": [1]}',
        '{"name": 7}',
        '{"name": "a", "severity": "BAD"}',
        '{"name": "a", "exception": "boom"}',
        '{"name": "a", "exception": {"type": "E", "frames": [{"file": 7}]}}',
        '{"name": "a", "file": "f", "line": -1}',
        '{"name": "a", "password": "hunter2"}',
        "[" * 100_000,
        '{"name": "long", "attributes": {"x": "' + "y" * 200_000 + '"}}',
        '{"name": "a", "attributes": {"n": 2}}',
    )
    assert done.returncode == 12
    assert done.stderr.count(b"\n") == 1
    assert b"15 of 17 lines were refused, the first because it is not JSON" in done.stderr
    first, last = lake.events()
    assert [first["data"]["attributes"], last["data"]["attributes"]] == [{"n": 1}, {"n": 2}]
    assert (first["time"], first["data"]["trace_id"]) == ("2026-11-22T14:00:00+01:00", "t")
    kept = refused(lake)
    assert [one["line_number"] for one in kept] == list(range(2, 17))
    assert kept[0] == {"line_number": 2, "reason": "it is not JSON: expecting value at character 1", "line": "not json"}
    assert "unknown member 'nam'" in kept[1]["reason"]
    assert "longer than" in kept[-1]["reason"]
    assert "hunter2" not in lake.text()


def test_a_line_that_can_never_be_recorded_is_refused_and_the_disk_not_blamed(lake: Any) -> None:
    told = {"name": "big", "attributes": {f"k{number}": "é" * 4000 for number in range(15)}}
    done = stream(lake, json.dumps(told, ensure_ascii=False), '{"name": "a", "attributes": {"n": %s}}' % ("9" * 5000))
    assert (done.returncode, lake.events()) == (12, [])
    assert [one["reason"] for one in refused(lake)] == [
        "an event is larger than 256 KiB",
        "it holds a number of more than 1,000 digits",
    ]


def test_secrets_in_refused_lines_are_taken_out_by_key_and_by_shape(lake: Any) -> None:
    stream(
        lake,
        '{"nam": "a", "attributes": {"pin": "hunter2", "login": {"password": ["hunter2", "a\\"hunter2"]}}}',
        '{"name": "a", "attributes": {"password": "a\\"hunter2", "b": ',
        '{"name": "a", "attributes": {"api_key": "hunter2',
    )
    assert len(refused(lake)) == 3
    assert "hunter2" not in lake.text()


def test_rubbish_without_end_does_not_fill_the_spool(lake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ratchet_points.refused.LIMIT", 1000)
    kept = RefusedLines(str(lake.folder))
    for number in range(100):
        kept.keep(number, "rubbish", "it is not JSON")
    assert kept.count == 100
    assert len(lake.text()) <= 1000
    assert "the first 0 MiB of them are kept" in kept.kept_where()


@pytest.mark.parametrize(
    ("arguments", "closed", "said"),
    [(["emit", "--stream"], "<&-", "standard input is closed"), (["read", "."], ">&-", "standard output is closed")],
)
def test_a_closed_stream_is_one_clear_line(arguments: list[str], closed: str, said: str) -> None:
    command = f'exec "$0" -m ratchet_points "$@" {closed}'
    done = subprocess.run(["/bin/sh", "-c", command, sys.executable, *arguments], capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr


def test_a_value_nested_without_end_is_a_text(lake: Any) -> None:
    assert emit(lake, "a", "deep=" + "[" * 100_000) == 0
    assert lake.events()[0]["data"]["attributes"]["deep"].startswith("[[[")


def test_an_error_of_another_language(lake: Any) -> None:
    frames = [{"file": "a.erl", "line": 3, "function": "a:b/1"}, {"file": "c.erl"}]
    told = {"name": "queue.failed", "exception": {"type": "badmatch", "message": "token=abcdef12345", "frames": frames}}
    assert stream(lake, json.dumps(told)).returncode == 0
    (one,) = lake.events()
    assert one["kind"] == "quality"
    assert one["data"]["severity_text"] == "ERROR"
    assert one["data"]["exception.type"] == "badmatch"
    assert one["data"]["exception.message"] == "token=[redacted]"
    assert one["data"]["exception.frames"] == [
        {"code.file.path": "a.erl", "code.line.number": 3, "code.function.name": "a:b/1"},
        {"code.file.path": "c.erl"},
    ]


def test_an_event_of_a_stream_is_there_before_the_stream_ends(lake: Any) -> None:
    command = [sys.executable, "-m", "ratchet_points", "emit", "--stream", "--spool", str(lake.folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b'{"name": "a"}\n{"name": "b"}\nhalf a li')
    process.stdin.flush()
    while len(lake.events()) < 2:
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert [one["type"] for one in lake.events()] == ["a", "b"]


def test_a_stream_into_a_spool_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    spool = str(tmp_path / "file" / "spool")
    done = points_command("emit", "--stream", "--spool", spool, given=b'{"name": "a"}\nnonsense\n')
    assert done.returncode == 16
    assert b"Traceback" not in done.stderr


def test_reading_prints_what_is_verified(lake: Any) -> None:
    emit(lake, "a")
    with next(lake.folder.glob("*.points")).open("ab") as segment:
        segment.write(b"\ntorn")
    done = points_command("read", str(lake.folder))
    assert [json.loads(line)["type"] for line in done.stdout.splitlines()] == ["a"]
    assert b"1 damaged" in done.stderr
    assert done.returncode == 0
    assert points_command("read", str(lake.folder / "none")).returncode == 2


def test_a_reader_that_goes_away_is_no_error(lake: Any) -> None:
    stream(lake, *['{"name": "a"}'] * 3000)
    process = subprocess.Popen(
        [sys.executable, "-m", "ratchet_points", "read", str(lake.folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 1


def test_defaults_come_from_the_environment(lake: Any) -> None:
    environment = {**os.environ, "POINTS_APP": "cron", "POINTS_SPOOL": str(lake.folder), "POINTS_ENVIRONMENT": "test"}
    assert points_command("emit", "a", env=environment).returncode == 0
    assert lake.events()[0]["data"]["service.name"] == "cron"


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("-2.5", -2.5), ("true", True), ("null", None), ("x", "x"), ('"x"', '"x"'), ("[1]", "[1]"), ("", ""),
     ("NaN", "NaN"), ("1e999", "1e999"), ("007", "007"), ("a=b", "a=b")],
)  # fmt: skip
def test_values_of_the_command_line(text: str, value: object) -> None:
    assert foreign.value(text) == value
    assert type(foreign.value(text)) is type(value)
