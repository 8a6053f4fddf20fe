"""The words of incidents: every cause has its own, they fit into a channel, and nothing from outside takes effect."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from pipeline.core.incidents.book import Incident, Over
from pipeline.core.model import Cause
from pipeline.core.text import duration
from pipeline.notify.incident_wording import Told, incident_message, lake_message
from pipeline_tests.core.account import a_source
from pipeline_tests.core.snapshots import at

from .reports import HOSTILE_TITLES
from .test_wording import ACTIVE

DISCORD_TAKES = 2_000


def told(cause: Cause, number: int = 0, **changes: object) -> Told:
    fields: dict[str, Any] = {"what": "w " * 500, "next_step": "n " * 100, "rows": ("r" * 300,) * 6} | changes
    incident = Incident(
        id="1", subject=f"source_{number}" + 50 * "x", cause=cause, opened_at=at(0), since=at(0), **fields
    )
    return Told(incident, a_source(owner="o" * 400, expected="e" * 400, rollback="ratchet correct blog HOUR --reject"))


@pytest.mark.parametrize("cause", Cause)
@pytest.mark.parametrize("count", [1, 2, 40])
def test_every_cause_has_words_that_fit_and_keep_the_next_step(cause: Cause, count: int) -> None:
    message = incident_message([told(cause, number) for number in range(count)], at(3))
    assert len(message.title) + len(message.body) + 2 < DISCORD_TAKES
    assert "Next" in message.body
    assert "n n n" in message.body


def test_the_words_of_no_two_causes_are_the_same() -> None:
    assert len({incident_message([told(cause)], at(3)).title for cause in Cause}) == len(Cause)


@pytest.mark.parametrize(
    ("cause", "tone"),
    [(Cause.REFUSED, "failure"), (Cause.SESSION_EXPIRED, "failure"), (Cause.CREDENTIAL_ENDING, "warning")],
)
def test_a_message_that_opens_is_a_failure_where_hours_are_lost_and_its_end_is_a_success(
    cause: Cause, tone: str
) -> None:
    each = told(cause)
    assert incident_message([each], at(3)).tone == tone
    assert incident_message([Told(each.incident, each.source, again=True)], at(30)).tone == tone
    assert incident_message([Told(each.incident, each.source, over=Over("1", at(3), at(3)))], at(3)).tone == "success"


@pytest.mark.parametrize("count", [1, 40])
def test_the_end_of_many_fits(count: int) -> None:
    each = told(Cause.REFUSED)
    over = Told(each.incident, each.source, over=Over("1", at(30), at(30), gaps=28, quarantined=2))
    message = incident_message([over] * count, at(30))
    assert len(message.title) + len(message.body) + 2 < DISCORD_TAKES
    assert "after 30 hours" in message.body
    assert "30 hours lost, 2 of them refused and kept in quarantine" in message.body


@pytest.mark.parametrize("text", HOSTILE_TITLES.values(), ids=HOSTILE_TITLES)
def test_text_from_outside_takes_no_effect(text: str) -> None:
    """Neither what went wrong, nor the items named with it, nor the words of a correction."""
    harmless = incident_message([told(Cause.REFUSED, what="w", rows=("r",))], at(3))
    for count in (1, 2):
        message = incident_message([told(Cause.REFUSED, what=text, rows=(text,))] * count, at(3))
        assert not ACTIVE.search(without(message.body, harmless.body))
    corrected = Over("1", at(3), at(3), decided=f"accepted by {text}", reason=text)
    each = told(Cause.REFUSED, what=text)
    ended = incident_message([Told(each.incident, each.source, over=corrected)], at(3))
    assert not any(ACTIVE.search(line.removeprefix("- ")) for line in ended.body.split("\n"))


@pytest.mark.parametrize("text", HOSTILE_TITLES.values(), ids=HOSTILE_TITLES)
def test_a_name_takes_no_effect_and_what_the_lake_says_neither(text: str) -> None:
    """A subject can be a name of a folder, and a fault of the lake can quote one."""
    incident = msgspec.structs.replace(told(Cause.REFUSED, what="w").incident, subject=text)
    over = Told(incident, None, over=Over("1", at(3), at(3)))
    titles = [incident_message([each], at(3)).title for each in (Told(incident, None), over)]
    ends = incident_message([over] * 2, at(3)).body.split("\n")
    assert len(ends) == 3
    harmless = lake_message("w", "n")
    lost = without(lake_message(text, "n").body, harmless.body)
    for told_of in (*(title.partition(": ")[0] for title in titles), ends[0].removeprefix("- ").split(": ")[0], lost):
        assert told_of
        assert not ACTIVE.search(told_of)


def test_what_an_owner_wrote_on_several_lines_stays_one() -> None:
    source = a_source(owner="Ada\nNext: planted", expected="a\nb", rollback="c\r\nd")
    for count in (1, 2):
        body = incident_message([Told(told(Cause.REFUSED).incident, source)] * count, at(3)).body.split("\n")
        assert "Owner: Ada Next: planted" in body
        assert not {"Next: planted", "b", "d"} & set(body)


def without(body: str, ours: str) -> str:
    """The lines of a body that another one lacks."""
    return " ".join(line for line in body.split("\n") if line not in ours.split("\n"))


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (0.5, "30 seconds"),
        (1, "1 minute"),
        (59.9, "1 hour"),
        (25, "25 minutes"),
        (60, "1 hour"),
        (90, "1.5 hours"),
        (120, "2 hours"),
        (72 * 60, "3 days"),
    ],
)
def test_durations_are_said_in_the_unit_that_fits(minutes: float, words: str) -> None:
    assert duration(timedelta(minutes=minutes)) == words
