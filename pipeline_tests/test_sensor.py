"""The sensor and its messages: one for a live report with crossings, to each channel, once.

test_live.py lets a real daemon evaluate it and kills that daemon in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import dagster as dg
import msgspec
import pytest

from pipeline.collecting import collect
from pipeline.core.corrections import decide
from pipeline.core.errors import AlreadyObserved, ChannelFault
from pipeline.core.history import read_report, settle
from pipeline.core.hours import Hour
from pipeline.core.lake import DELTA, REPORT, REPORT_TEXT, VALIDATED
from pipeline.core.model import Origin
from pipeline.core.observe import RecordedClock
from pipeline.core.project import Project
from pipeline.graph import ASSETS, notify_job, notify_pool, pool
from pipeline.notify.sending import send_unsent
from pipeline_tests.dagster_parts import BLOG, HOUR, MOMENT, Blog, made_blog, present_moment, ratchet
from pipeline_tests.receiver import Receiver, receiving

RULES = [{"counter": "views", "crosses": [100, 200]}]
BEFORE, AFTER = MOMENT - timedelta(hours=1), MOMENT + timedelta(hours=1)
NOTHING = "No report has anything unsent."


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with receiving(tmp_path / "path") as started:
        yield started


@pytest.fixture
def speaking(project: Project, receiver: Receiver) -> Iterator[Blog]:
    """A source with two channels, observed once; its next capture makes two articles pass 100 views."""
    with made_blog(project, rules=RULES, notify=receiver.notify) as blog:
        blog.account.views = {"n1": 80, "n2": 95, "n3": 97}
        assert blog.capture(BEFORE).success
        blog.account.views = {"n1": 82, "n2": 105, "n3": 197}
        yield blog


def look(blog: Blog, now: datetime = MOMENT, instance: dg.DagsterInstance | None = None) -> list[str] | str:
    """Let the sensor look and run what it asks for: the hours that it told of, or why it skipped."""
    runs = blog.runs
    repository = runs.definitions.get_repository_def()
    resources = {"lake": blog.project.lake, "clock": RecordedClock(now)}
    with dg.build_sensor_context(instance or blog.instance, resources=resources, repository_def=repository) as context:
        decided = repository.get_sensor_def(f"{BLOG}_crossings").evaluate_tick(context)
    if not decided.run_requests:
        return str(decided.skip_message)
    for request in decided.run_requests:
        job = runs.definitions.resolve_job_def(notify_job(blog.source))
        job.execute_in_process(
            run_config=request.run_config,
            instance=instance or blog.instance,
            resources={"clock": resources["clock"]},
            raise_on_error=False,
        )
    return [str(request.run_key) for request in decided.run_requests]


def receipts(blog: Blog) -> list[dict[str, object]]:
    folder = blog.lake.root / "receipts"
    return [msgspec.json.decode(path.read_bytes()) for path in sorted(folder.glob("*.json"))]


def test_a_live_report_with_crossings_is_one_grouped_message_to_each_channel(
    speaking: Blog, receiver: Receiver
) -> None:
    assert speaking.capture().success
    assert look(speaking) == [f"{HOUR.key} at {HOUR.key}"]
    (webhook,), (sms,) = receiver.webhooks, receiver.sms
    for text in (webhook, sms):
        assert "Article n2" in text
        assert "Article n3" in text
        assert "Article n1" not in text
    assert "100 views (97 → 197), +100 in 1 hour: “Article n3” https://" in webhook
    (picture,) = receiver.pictures
    assert b"\x89PNG" in picture
    kept = receipts(speaking)
    assert [receipt["key"] for receipt in kept] == 2 * [f"{HOUR.key}-crossings"]
    assert {str(receipt["channel"]).partition("-")[0] for receipt in kept} == {"discord", "smseagle"}


def test_a_second_look_a_second_click_and_a_new_instance_send_nothing_more(speaking: Blog, receiver: Receiver) -> None:
    speaking.capture()
    look(speaking)
    assert look(speaking) == "No report has anything unsent."
    assert speaking.launch(*ASSETS).success
    assert look(speaking, MOMENT + timedelta(hours=1)) == "No report has anything unsent."
    with dg.DagsterInstance.ephemeral() as forgetful:
        assert look(speaking, instance=forgetful) == "No report has anything unsent."
    assert len(receiver.posts) == 2


def test_a_quiet_hour_and_a_replayed_hour_send_nothing(speaking: Blog, receiver: Receiver) -> None:
    assert look(speaking, BEFORE) == "No report has anything unsent."
    assert speaking.capture(origin=Origin.REPLAY).success
    assert look(speaking) == "No report has anything unsent."
    assert receiver.posts == []
    assert receipts(speaking) == []


def test_a_refused_capture_sends_nothing(speaking: Blog, receiver: Receiver) -> None:
    speaking.account.views = {"n1": 1, "n2": 105, "n3": 197}
    assert speaking.capture().blocked
    assert look(speaking) == "No report has anything unsent."
    assert receiver.posts == []


def test_a_channel_that_was_down_is_tried_again_in_the_next_hour_and_the_other_is_left_alone(
    speaking: Blog, receiver: Receiver
) -> None:
    speaking.capture()
    receiver.status, receiver.failing = 500, "/webhooks/"
    first = look(speaking)
    assert [str(receipt["channel"]).partition("-")[0] for receipt in receipts(speaking)] == ["smseagle"]
    receiver.status = 200
    receiver.posts.clear()
    again = look(speaking, MOMENT + timedelta(hours=1))
    assert first == [f"{HOUR.key} at {HOUR.key}"]
    assert again == [f"{HOUR.key} at {(HOUR + 1).key}, attempt 2"]
    assert (len(receiver.webhooks), len(receiver.sms)) == (1, 0)
    assert len(receipts(speaking)) == 2


def correct(blog: Blog, action: Literal["accept", "reject"], at: datetime = MOMENT) -> None:
    decide(blog.lake, blog.source, Hour.of(at), action, by="Ada", reason="I looked", made_at=AFTER)
    blog.runs.history()


def test_a_milestone_that_a_correction_moves_to_an_earlier_hour_is_not_told_again(
    speaking: Blog, receiver: Receiver
) -> None:
    speaking.account.views = {"n1": 1, "n2": 105, "n3": 197}
    assert speaking.capture().blocked
    speaking.account.views = {"n1": 82, "n2": 106, "n3": 198}
    assert speaking.capture(AFTER).success
    look(speaking, AFTER)
    assert len(receiver.posts) == 2
    correct(speaking, "accept")
    assert {crossing.item_id for crossing in read_report(speaking.lake, HOUR).crossings} == {"n2", "n3"}
    assert look(speaking, AFTER) == NOTHING
    assert len(receiver.posts) == 2


def test_an_hour_that_was_rejected_and_captured_afresh_tells_what_is_new(speaking: Blog, receiver: Receiver) -> None:
    speaking.account.views = {"n1": 82, "n2": 105, "n3": 97}
    assert speaking.capture().success
    look(speaking)
    correct(speaking, "reject")
    receiver.posts.clear()
    speaking.account.views = {"n1": 82, "n2": 105, "n3": 197}
    again = MOMENT + timedelta(minutes=10)
    assert speaking.capture(again).success
    # The run key of the hour is used up, so the next hour's look asks again.
    look(speaking, AFTER)
    (webhook,), (sms,) = receiver.webhooks, receiver.sms
    for text in (webhook, sms):
        assert "Article n3" in text
        assert "Article n2" not in text
    assert look(speaking, AFTER) == NOTHING
    assert {str(kept["key"]) for kept in receipts(speaking)} == {f"{HOUR.key}-crossings", f"{HOUR.key}-crossings-2"}


def test_a_milestone_passed_again_after_a_rejected_hour_is_left_out(speaking: Blog, receiver: Receiver) -> None:
    assert speaking.capture().success
    look(speaking)
    correct(speaking, "reject")
    receiver.posts.clear()
    speaking.account.views = {"n1": 82, "n2": 106, "n3": 198}
    assert speaking.capture(AFTER).success
    assert len(read_report(speaking.lake, HOUR + 1).crossings) == 2
    assert look(speaking, AFTER) == NOTHING
    speaking.account.views = {"n1": 101, "n2": 107, "n3": 199}
    assert speaking.capture(AFTER + timedelta(hours=1)).success
    look(speaking, AFTER + timedelta(hours=1))
    (webhook,) = receiver.webhooks
    assert "1 item passed" in webhook
    assert "Article n1" in webhook


def test_an_hour_that_passes_since_the_one_before_was_rejected_is_not_told(speaking: Blog, receiver: Receiver) -> None:
    speaking.account.views = {"n1": 99, "n2": 99, "n3": 99}
    assert speaking.capture().success
    speaking.account.views = {"n1": 82, "n2": 105, "n3": 97}
    assert speaking.capture(AFTER).blocked
    correct(speaking, "reject")
    report = read_report(speaking.lake, HOUR + 1)
    assert report.crossings
    assert not report.corrections
    assert look(speaking, AFTER) == NOTHING
    assert receiver.posts == []


def test_a_capture_that_comes_late_is_not_told(speaking: Blog, receiver: Receiver, tmp_path: Path) -> None:
    lake = speaking.lake
    assert speaking.capture().success
    (capture,) = lake.captures(HOUR)
    lake.raw(capture).rename(tmp_path / "elsewhere")
    for kind in (VALIDATED, DELTA, REPORT, REPORT_TEXT):
        lake.path(kind, HOUR).unlink()
    speaking.account.views = {"n1": 83, "n2": 105, "n3": 197}
    assert speaking.capture(AFTER).success
    (tmp_path / "elsewhere").rename(lake.raw(capture))
    with lake.writing():
        list(settle(lake, speaking.source, HOUR))
    assert read_report(lake, HOUR).crossings
    assert look(speaking, AFTER) == NOTHING
    assert receiver.posts == []


def test_a_dead_channel_keeps_no_hour_from_the_others_and_gets_all_of_them_later(
    speaking: Blog, receiver: Receiver
) -> None:
    assert speaking.capture().success
    speaking.account.views = {"n1": 101, "n2": 106, "n3": 198}
    assert speaking.capture(AFTER).success
    receiver.status, receiver.failing = 500, "/webhooks/"
    with pytest.raises(ChannelFault, match=r"2 messages of blog did not reach discord-\w+: .*status 500"):
        send_unsent(speaking.lake, speaking.source, lambda: AFTER)
    assert [str(kept["key"]) for kept in receipts(speaking)] == [
        f"{HOUR.key}-crossings",
        f"{(HOUR + 1).key}-crossings",
    ]
    receiver.status = 200
    receiver.posts.clear()
    with pytest.raises(ChannelFault, match=r"2 messages .* tried again at 13:18"):
        send_unsent(speaking.lake, speaking.source, lambda: AFTER)
    assert receiver.posts == [], "it failed a moment ago"
    sent = send_unsent(speaking.lake, speaking.source, lambda: AFTER + timedelta(minutes=1))
    assert [delivery.result for delivery in sent] == ["sent", "sent"]
    assert (len(receiver.webhooks), len(receiver.sms)) == (2, 0)


def test_notify_runs_of_one_source_queue_behind_each_other_and_not_behind_captures(blog: Blog) -> None:
    job = blog.runs.definitions.resolve_job_def(notify_job(blog.source))
    assert {node.definition.pool for node in job.nodes if isinstance(node.definition, dg.OpDefinition)} == {
        notify_pool(blog.source)
    }
    assert notify_pool(blog.source) != pool(blog.source)


def test_a_source_without_channels_says_so(blog: Blog) -> None:
    assert "has no channels" in str(look(blog))


def test_collect_without_a_daemon_sends_the_same_messages_once(project: Project, receiver: Receiver) -> None:
    """In a process of its own, as cron runs it, and again in this one."""
    with made_blog(project, rules=RULES, notify=receiver.notify) as blog:
        present = Hour.of(present_moment())
        blog.account.views = {"n1": 80, "n2": 95}
        earlier = present.start - timedelta(minutes=30)
        assert blog.capture(earlier).success
        blog.account.views = {"n1": 82, "n2": 105}
        done = ratchet("collect", BLOG)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("Message to ") == 2
        (webhook,), (sms,) = receiver.webhooks, receiver.sms
        assert "Article n2" in webhook
        assert "Article n2" in sms
        assert look(blog, present_moment()) == "No report has anything unsent."
        with pytest.raises(AlreadyObserved):
            collect(project, blog.source)
        assert len(receiver.posts) == 2
        assert len(receipts(blog)) == 2
