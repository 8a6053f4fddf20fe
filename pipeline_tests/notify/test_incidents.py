"""Incidents: one message when one opens, reminders, one when it is over; and none that repeats."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.core.corrections import decide
from pipeline.core.errors import ConfigError, DeadSession, LakeFault, SourceBusy, TransportFault, WrongHour
from pipeline.core.history import finish_interrupted
from pipeline.notify.delivery import Channel
from pipeline_tests.core.account import hour, many, rows
from pipeline_tests.core.snapshots import at
from pipeline_tests.receiver import Receiver, receiving

from .world import MINUTE, World, titles

UNREACHABLE = TransportFault("note.com/api could not be reached: refused")
EXPIRED = DeadSession("note.com/api answered 401", "Log in to note.com.", status=401)
FORBIDDEN = DeadSession("note.com/api answered 403", "Log in to note.com.", status=403)
AFTER_LAST_ATTEMPT = at(0) + 25 * MINUTE
"""Attempts are made at 00:17, 00:27 and 00:37; five minutes later the last of them is over."""


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with receiving(tmp_path / "path") as started:
        yield started


@pytest.fixture
def world(tmp_path: Path, receiver: Receiver) -> World:
    made = World(tmp_path / "lake")
    made.add("blog", notify=(receiver.channels["RATCHET_TEST_DISCORD"],))
    made.capture(-1)
    made.look(at(-1))
    return made


# When an incident opens ---------------------------------------------------------------------------


def test_a_fault_of_transport_that_passes_within_the_hour_is_no_incident(world: World, receiver: Receiver) -> None:
    world.fail(0, UNREACHABLE)
    world.look(at(0) + MINUTE)
    world.capture(10 / 60)
    world.look(AFTER_LAST_ATTEMPT)
    assert (world.open_causes(), world.book.last("blog"), receiver.posts) == ([], None, [])


def test_it_opens_when_the_last_attempt_of_the_hour_is_over(world: World, receiver: Receiver) -> None:
    for attempt in range(3):
        world.fail(attempt / 6, UNREACHABLE)
    world.look(AFTER_LAST_ATTEMPT - MINUTE)
    assert receiver.posts == []
    world.look(AFTER_LAST_ATTEMPT)
    (text,) = receiver.webhooks
    assert titles([text]) == ["blog: the platform cannot be reached"]
    assert "Since 2026-11-01 00:17 UTC" in text


@pytest.mark.parametrize(("fault", "words"), [(EXPIRED, "session has expired"), (FORBIDDEN, "forbids the access")])
def test_a_dead_session_is_told_at_once_in_its_own_words_with_what_to_type(
    world: World, receiver: Receiver, fault: DeadSession, words: str
) -> None:
    world.change(
        "blog", owner="me@example.org", expected="some articles", rollback="ratchet correct blog HOUR --reject"
    )
    world.fail(0, fault)
    world.look(at(0))
    (text,) = receiver.webhooks
    assert words in text
    for part in (
        "Log in to note.com. Then run: ratchet collect blog",
        "Owner: me@example.org",
        "Expected: some articles",
        "To go back: ratchet correct blog HOUR --reject",
    ):
        assert part in text


def test_a_refused_capture_names_the_items_by_how_much_and_the_command(world: World, receiver: Receiver) -> None:
    world.capture(0, listing=rows(a=4, b=20))
    world.look(at(0))
    assert receiver.posts == []
    world.look(AFTER_LAST_ATTEMPT)
    (text,) = receiver.webhooks
    assert "the capture was refused" in text
    assert "Title of a (a): counter views, before 10, now 4, fell by 6" in text
    assert f"ratchet correct blog {hour(0).key} --accept --by NAME --reason TEXT" in text


def test_a_message_about_a_thousand_fallen_items_stays_short(world: World, receiver: Receiver) -> None:
    world.capture(0, listing=many(1_000))
    world.capture(1, listing=many(1_000, views=1))
    world.look(at(1) + 25 * MINUTE)
    (text,) = receiver.webhooks
    assert len(text) < 2_000
    assert "and 995 more" in text or "and more" in text


def test_nothing_captured_for_two_hours_is_told_where_nothing_else_explains_it(
    world: World, receiver: Receiver
) -> None:
    world.look(at(0))
    world.look(at(1) - MINUTE)
    assert receiver.posts == []
    world.look(at(1))
    (text,) = receiver.webhooks
    assert "nothing was captured for two hours" in text
    assert "ratchet collect blog" in text


def test_a_dead_session_explains_the_silence_for_ever_and_a_failed_attempt_for_two_hours(
    world: World, receiver: Receiver
) -> None:
    world.fail(0, EXPIRED)
    world.look(at(0))
    world.look(at(5))
    assert world.open_causes() == ["session_expired"]
    world.fail(5, UNREACHABLE)
    world.look(at(6))
    world.look(at(8))
    assert sorted(world.open_causes()) == ["nothing_captured", "session_expired", "transport"]


@pytest.mark.parametrize("changes", [{"enabled": False}, {"simulated": True}, {"end": hour(-1)}], ids=str)
def test_silence_is_expected_of_a_source_that_nobody_awaits(
    world: World, receiver: Receiver, changes: dict[str, object]
) -> None:
    world.change("blog", **changes)
    world.look(at(0))
    world.look(at(50))
    assert receiver.posts == []


def test_a_click_on_a_source_that_nobody_awaits_opens_no_incident(world: World, receiver: Receiver) -> None:
    world.change("blog", enabled=False)
    world.fail(0, EXPIRED)
    world.look(at(0))
    assert (receiver.posts, world.open_causes()) == ([], [])


def test_a_source_that_never_captured_anything_is_missed_two_hours_after_it_is_first_seen(
    world: World, receiver: Receiver
) -> None:
    world.add("new", notify=world.sources["blog"].notify, minute=17)
    world.change("blog", enabled=False)
    world.look(at(0))
    world.look(at(2) - MINUTE)
    assert receiver.posts == []
    world.look(at(2))
    assert titles(receiver.webhooks) == ["new: nothing was captured for two hours"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (LakeFault("The disk is full", "Make room."), "the lake cannot be used"),
        (WrongHour("blog was observed later: the clock went back.", "Set it right."), "the clock of this machine"),
        (KeyError("planted secret"), "a fault in Ratchet"),
    ],
)
def test_every_other_way_to_fail_has_its_words_and_gives_no_secret_away(
    world: World, receiver: Receiver, fault: Exception, words: str
) -> None:
    world.fail(0, fault)
    world.look(AFTER_LAST_ATTEMPT - MINUTE)
    assert receiver.posts == []
    world.look(AFTER_LAST_ATTEMPT)
    (text,) = receiver.webhooks
    assert words in text
    assert "planted secret" not in text


def test_what_its_owner_was_told_already_is_no_incident(world: World, receiver: Receiver) -> None:
    world.fail(0, SourceBusy("busy", "Wait."))
    world.fail(2, WrongHour("2026-10-31T20 cannot be observed", "Leave it."))
    with world.of("blog").writing():
        pass
    decide_rejected(world)
    world.look(AFTER_LAST_ATTEMPT)
    assert receiver.posts == []


def decide_rejected(world: World) -> None:
    world.capture(0)
    lake, source = world.of("blog"), world.sources["blog"]
    with lake.writing():
        decide(lake, source, hour(0), "reject", by="Ada", reason="I looked", made_at=at(0))
        finish_interrupted(lake, source)


# Reminders and the end ----------------------------------------------------------------------------


def test_reminders_come_after_6_hours_24_hours_and_then_daily_and_nothing_in_between(
    world: World, receiver: Receiver
) -> None:
    world.fail(0, EXPIRED)
    told = []
    for hours in range(24 * 3 + 2):
        before = len(receiver.posts)
        world.look(at(hours))
        world.look(at(hours))
        told += [hours] * (len(receiver.posts) - before)
    assert told == [0, 6, 24, 48, 72]
    assert titles(receiver.webhooks)[1] == "blog: still: the session has expired"


def test_the_end_says_how_long_it_took_and_what_was_lost(world: World, receiver: Receiver) -> None:
    for hours in (0, 1, 2):
        world.fail(hours, UNREACHABLE)
        world.look(at(hours) + 25 * MINUTE)
    world.capture(3, listing=rows(a=1, b=1))
    world.look(at(3) + 25 * MINUTE)
    world.capture(4, listing=rows(a=12, b=21))
    for _ in range(3):
        world.look(at(4) + MINUTE)
    opened, refused, *ends = receiver.webhooks
    assert titles([opened, refused]) == ["blog: the platform cannot be reached", "blog: the capture was refused"]
    assert len(ends) == 2
    assert "after 4 hours, from 2026-11-01 00:17 to 2026-11-01 04:17 UTC; 4 hours lost, 1 of them refused" in "".join(
        ends
    )
    assert world.open_causes() == []


def test_a_platform_that_fails_in_changing_ways_is_no_news_each_time(world: World, receiver: Receiver) -> None:
    for hours, fault in enumerate([UNREACHABLE, EXPIRED, UNREACHABLE, EXPIRED]):
        world.fail(hours, fault)
        world.look(at(hours) + 25 * MINUTE)
    assert len(receiver.posts) == 2


def test_a_capture_that_was_read_ends_the_dead_session_though_it_was_refused(world: World, receiver: Receiver) -> None:
    world.fail(0, EXPIRED)
    world.look(at(0))
    world.capture(2, listing=rows(a=1, b=1))
    world.look(at(2))
    assert titles(receiver.webhooks) == ["blog: the session has expired", "blog: over: the session has expired"]
    assert "The session works again after 2 hours" in receiver.webhooks[1]
    assert "; 2 hours lost." in receiver.webhooks[1]
    world.look(at(2) + 25 * MINUTE)
    assert world.open_causes() == ["refused"]


def test_what_shows_nothing_of_the_session_leaves_its_incident_open(world: World, receiver: Receiver) -> None:
    world.fail(0, EXPIRED)
    world.look(at(0))
    world.fail(1, UNREACHABLE)
    world.look(at(1) + 25 * MINUTE)
    assert "session_expired" in world.open_causes()


def test_a_correction_ends_the_incident_of_its_refusal(world: World, receiver: Receiver) -> None:
    world.capture(0, listing=rows(a=4, b=20))
    world.look(AFTER_LAST_ATTEMPT)
    lake, source = world.of("blog"), world.sources["blog"]
    with lake.writing():
        decide(lake, source, hour(0), "accept", by="Ada", reason="I looked", made_at=at(1))
        finish_interrupted(lake, source)
    world.look(at(0.9))
    assert "was accepted by Ada: I looked" in receiver.webhooks[-1]


def test_a_source_that_is_switched_off_ends_its_silence_without_a_word(world: World, receiver: Receiver) -> None:
    world.look(at(0))
    world.look(at(1))
    world.change("blog", enabled=False)
    world.look(at(2))
    assert (len(receiver.posts), world.open_causes()) == (1, [])


def test_nothing_repeats_in_a_new_process(world: World, receiver: Receiver) -> None:
    world.fail(0, EXPIRED)
    world.look(at(0))
    again = World(world.folder, world.sources)
    again.look(at(0))
    again.look(at(1))
    assert len(receiver.posts) == 1


# Several sources ----------------------------------------------------------------------------------


def test_ten_sources_that_fail_for_one_cause_make_one_message_and_one_when_it_is_over(
    world: World, receiver: Receiver
) -> None:
    world.change("blog", enabled=False)
    names = [f"source_{number}" for number in range(10)]
    for number, name in enumerate(names):
        world.add(name, minute=1 + 4 * number, notify=world.sources["blog"].notify)
        world.capture(-1, name)
    for attempt in range(3):
        for name in names:
            world.fail(attempt / 6, UNREACHABLE, name)
    world.now = at(0)
    world.look_every(4 * MINUTE, at(1))
    (text,) = receiver.webhooks
    assert titles([text]) == ["10 sources: the platform cannot be reached"]
    assert all(name in text for name in names)
    for number, name in enumerate(names):
        world.capture(1 + number / 20, name)
        world.look(at(1 + number / 20))
    world.look(at(1.9))
    _, end = receiver.webhooks
    assert titles([end]) == ["10 sources: over: the platform cannot be reached"]


def test_two_causes_are_two_messages(world: World, receiver: Receiver) -> None:
    world.add("other", notify=world.sources["blog"].notify)
    world.capture(-1, "other")
    world.fail(0, EXPIRED)
    world.fail(0, FORBIDDEN, "other")
    world.look(at(0))
    assert sorted(titles(receiver.webhooks)) == [
        "blog: the session has expired",
        "other: the platform forbids the access",
    ]


def test_a_source_that_cannot_load_is_told_on_the_channels_of_the_others(world: World, receiver: Receiver) -> None:
    world.broken["lost"] = ConfigError("the variable X is not set", "Put X=... into .env.")
    world.capture(0)
    world.look(at(0))
    assert receiver.posts == []
    world.look(at(0) + 5 * MINUTE)
    assert titles(receiver.webhooks) == ["lost: the source cannot load"]
    world.broken.clear()
    world.add("lost", notify=(), enabled=False)
    world.look(at(0.2))
    assert world.open_causes() == []


# The credential and the heartbeat -----------------------------------------------------------------


def test_a_credential_is_told_of_at_each_of_its_days_and_when_it_was_renewed(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = [at(24 * 20)]
    monkeypatch.setattr("pipeline.core.incidents.troubles.read_lineage", lambda path: _Ending(ends[0]))
    told: list[int] = []
    for day in (0, 5, 6, 7, 16, 17):
        world.capture(24 * day)
        world.look(at(24 * day))
        world.look(at(24 * day) + MINUTE)
        told += [day] * (len(receiver.posts) - len(told))
    assert told == [6, 17]
    assert "lasts for another 14 days" in receiver.webhooks[0]
    ends[0] = at(24 * 100)
    world.look(at(24 * 17) + 2 * MINUTE)
    assert "The credential was renewed." in receiver.webhooks[-1]


class _Ending:
    """Of what an accepted snapshot was made, as far as the end of the credential goes."""

    def __init__(self, ends: object) -> None:
        self.credential_expires = ends


# Channels -----------------------------------------------------------------------------------------


def test_a_channel_that_fails_for_an_hour_is_told_of_on_the_others_and_gets_the_present_state_when_it_works(
    world: World, receiver: Receiver
) -> None:
    discord, sms = receiver.channels.values()
    world.change("blog", notify=(discord, sms))
    receiver.status, receiver.failing = 500, "/webhooks/"
    world.fail(0, EXPIRED)
    world.now = at(0) - MINUTE
    world.look_every(MINUTE, at(1) - MINUTE)
    assert len(receiver.sms) == 1, "the channel that works is not told twice"
    assert len(receiver.webhooks) == 6, "tried again after 1, 2, 4, 8 and 16 minutes, not each minute"
    world.look(at(1))
    assert "this channel takes no messages" in receiver.sms[1]
    assert Channel(discord).id.replace("-", "") in receiver.sms[1].replace("-", "")
    assert "status 500" in receiver.sms[1]

    receiver.status = 200
    receiver.posts.clear()
    world.look(at(2))
    world.look(at(2) + MINUTE)
    assert titles(receiver.webhooks) == ["blog: the session has expired"]
    assert "It works again" in receiver.sms[0]
    assert len(receiver.posts) == 2


def test_where_the_lake_takes_no_incident_the_channels_are_told_all_the_same(world: World, receiver: Receiver) -> None:
    shutil.rmtree(world.folder / "_project")
    (world.folder / "_project").write_text("a file where a folder should be")
    world.fail(0, EXPIRED)
    deliveries = world.look(at(0))
    assert [delivery.result for delivery in deliveries] == ["sent"]
    assert titles(receiver.webhooks) == ["Ratchet: the lake cannot be used"]


def test_hostile_text_takes_no_effect_in_a_message(world: World, receiver: Receiver) -> None:
    world.capture(0, listing=[{**row, "name": "@everyone [x](http://evil.example)"} for row in rows(a=4, b=20)])
    world.look(AFTER_LAST_ATTEMPT)
    (text,) = receiver.webhooks
    assert "@everyone" not in text
    assert "://evil" not in text
