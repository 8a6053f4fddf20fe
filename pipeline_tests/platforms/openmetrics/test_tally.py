"""Totals across restarts: exact, never falling, and named a lower bound where they are one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import LakeFault
from pipeline_tests.platforms.feeding import MOMENT
from pipeline_tests.platforms.openmetrics.parts import Folding, Written, answer, page, platform, seconds, series

FIVE_HUNDRED = series(500)


def folding(*by_minute: str, **more: Any) -> Folding:
    return Folding(platform(**more), frozenset(by_minute))


def told(total: int, resets: int = 0, presumed: int = 0) -> dict[str, int]:
    return {"total": total, "resets": resets, "presumed_resets": presumed}


def title(folded: Any, item: str) -> str:
    return str(folded.columns["title"][folded.columns["item_id"].index(item)])


def test_a_total_begins_with_the_number_told_and_goes_on_from_there() -> None:
    fold = folding()
    first = fold.fold(page(answer({500: 40}, created=-900), 0))
    assert fold.counts[FIVE_HUNDRED] == told(40)
    assert first.columns["published_at"] == [None, None]
    fold.fold(page(answer({500: 45}, created=-900), 3600))
    assert fold.counts[FIVE_HUNDRED] == told(45)


def test_a_new_epoch_is_a_counted_reset_and_the_total_goes_on() -> None:
    fold = folding()
    fold.fold(page(answer({500: 40}, created=-900), 0))
    fold.fold(page(answer({500: 70}, created=30), 3600))  # it is higher than before, and counts whole all the same
    assert fold.counts[FIVE_HUNDRED] == told(110, resets=1)
    folded = fold.fold(page(answer({500: 3}, created=4000), 7200))
    assert fold.counts[FIVE_HUNDRED] == told(113, resets=2)
    assert title(folded, FIVE_HUNDRED) == FIVE_HUNDRED


def test_without_epochs_a_fall_is_a_presumed_reset_and_the_total_a_lower_bound() -> None:
    fold = folding(counters={"failed_requests": "errors_total"})
    fold.fold(page(answer({500: 40}), 0))
    folded = fold.fold(page(answer({500: 70}), 1))
    assert title(folded, FIVE_HUNDRED) == FIVE_HUNDRED
    folded = fold.fold(page(answer({500: 3}), 2))
    assert fold.counts[FIVE_HUNDRED] == told(73, presumed=1)
    assert title(folded, FIVE_HUNDRED) == f"{FIVE_HUNDRED} (lower bound)"
    assert title(folded, "sum:failed_requests") == "failed_requests: errors_total (lower bound)"
    assert fold.counts["sum:failed_requests"] == {"failed_requests": 73}


def test_a_series_counts_from_zero_only_where_its_epoch_began_since_the_scrape_before() -> None:
    fold = folding(counters={"failed_requests": "errors_total"})
    fold.fold(page(answer({200: 1}, created=-900), 0))
    folded = fold.fold(
        page(
            answer({200: 1, 500: 60}, created=None).replace(
                b'errors_total{code="500"} 60',
                b'errors_total{code="500"} 60\n' + f'errors_created{{code="500"}} {seconds(3).timestamp()}'.encode(),
            ),
            5,
        )
    )
    assert fold.counts[FIVE_HUNDRED] == told(60)
    assert folded.columns["published_at"][folded.columns["item_id"].index(FIVE_HUNDRED)] == seconds(3)
    assert fold.counts["sum:failed_requests"]["failed_requests"] == 61
    folded = fold.fold(page(answer({404: 7}, created=-60), 10))
    assert fold.counts[series(404)] == told(7)
    assert folded.columns["published_at"] == [None] * 5
    assert fold.counts["sum:failed_requests"]["failed_requests"] == 61  # nobody knows how much of the 7 is new
    assert title(folded, "sum:failed_requests").endswith("(lower bound)")
    fold.fold(page(answer({404: 9}, created=-60), 15))
    assert fold.counts["sum:failed_requests"]["failed_requests"] == 63


def test_an_epoch_older_than_the_last_scrape_is_of_another_program_and_adds_nothing() -> None:
    fold = folding()
    fold.fold(page(answer({500: 40}, created=-900), 0))
    folded = fold.fold(page(answer({500: 1000}, created=-500), 5))
    assert fold.counts[FIVE_HUNDRED] == told(40, resets=1)
    assert title(folded, FIVE_HUNDRED).endswith("(lower bound)")
    fold.fold(page(answer({500: 1002}, created=-500), 10))
    assert fold.counts[FIVE_HUNDRED] == told(42, resets=1)


def test_an_epoch_that_begins_to_be_told_is_no_reset() -> None:
    fold = folding()
    fold.fold(page(answer({500: 40}), 0), page(answer({500: 41}, created=-900), 5), page(answer({500: 43}), 10))
    fold.fold(page(answer({500: 44}, created=-900), 15))
    assert fold.counts[FIVE_HUNDRED] == told(44)


def test_a_fall_within_an_epoch_is_left_to_the_check_where_the_capture_stands_for_it() -> None:
    fold = folding()
    fold.fold(page(answer({500: 40}, created=-900), 0))
    folded = fold.fold(page(answer({500: 39}, created=-900), 5))
    assert fold.counts[FIVE_HUNDRED]["total"] == 39
    assert folded.problems == ()


def test_of_an_earlier_answer_a_fall_leaves_out_that_answer_alone() -> None:
    fold = folding()
    fold.fold(page(answer({500: 40, 200: 1}, created=-900), 0))
    folded = fold.fold(
        page(answer({500: 39, 200: 5}, created=-900), 5), page(answer({500: 41, 200: 6}, created=-900), 10)
    )
    assert {item: counts["total"] for item, counts in fold.counts.items() if "total" in counts} == {
        FIVE_HUNDRED: 41,
        series(200): 6,
    }
    assert folded.refused_count == fold.counts["scraping"]["refused"] == 1
    assert "fell within one epoch" in folded.refused[0]["reason"]
    assert 'errors_total{code="500"} 39' in folded.refused[0]["event"]


def test_a_bad_answer_refuses_the_capture_that_it_stands_for_and_no_later_one() -> None:
    fold = folding()
    fold.fold(page(answer({500: 40}), 0))
    bad = page(b"errors_total 5\n", 5)
    assert (
        "does not end with # EOF"
        in Folding(fold.platform, counts=fold.counts, carried=fold.carried).fold(bad).problems[0]
    )
    folded = fold.fold(bad, page(answer({500: 44}), 10))
    assert folded.problems == ()
    assert (fold.counts[FIVE_HUNDRED], fold.counts["scraping"]["refused"]) == (told(44), 1)


def test_a_series_that_is_not_told_keeps_its_total_and_a_value_is_missing() -> None:
    fold = folding(gauges={"queue": "queue_size"})
    fold.fold(page(answer({500: 40, 200: 3}, {"queue_size": 7, "memory": 2.0}), 0))
    assert fold.counts["queue_size"] == {"value": 7, "queue": 7}
    assert fold.counts["memory"] == {"value": 2}
    fold.fold(page(answer({500: 41}, {"memory": 3}), 5))
    assert fold.counts[series(200)] == told(3)
    assert fold.counts["queue_size"] == {}
    assert fold.counts["memory"] == {"value": 3}
    fold.fold()
    assert fold.counts["memory"] == {"value": 3}


def test_values_that_cannot_be_kept_are_left_out_and_named() -> None:
    fold = folding()
    gauges: dict[str, Written] = {"a": "NaN", "b": "-Inf", "c": -1, "d": "1.8446744073709552e+19", "e": 1.5, "f": -0.0}
    folded = fold.fold(page(answer({500: 1}, gauges), 0))
    scraping = fold.counts["scraping"]
    assert (scraping["left_out"], scraping["rounded_down"], scraping["series"]) == (4, 1, 3)
    assert [row["event"] for row in folded.refused] == ["a", "b", "c", "d"]
    assert (fold.counts["e"], fold.counts["f"]) == ({"value": 1}, {"value": 0})


def test_a_counter_with_decimals_counts_in_its_declared_unit_rounded_down_once() -> None:
    fold = folding(decimals={"cpu_seconds_total": 3}, counters={"cpu": "cpu_seconds_total"})
    total = 0.0
    for number in range(1, 200):
        total += 0.0007
        fold.fold(page(f"# TYPE cpu_seconds counter\ncpu_seconds_total {total!r}\n# EOF\n".encode(), number))
    assert fold.counts["cpu_seconds_total in 1e-3"]["total"] == fold.counts["sum:cpu"]["cpu"] == 139  # of 139.3
    assert fold.counts["scraping"]["rounded_down"] == 1


def test_parts_of_histograms_and_summaries_count() -> None:
    created = f"{seconds(-900).timestamp():.0f}"
    body = (
        "# TYPE took histogram\n"
        'took_bucket{le="0.1"} 1\ntook_bucket{le="+Inf"} 3\ntook_count 3\ntook_sum 2.5\n'
        f"took_created {created}\n"
        "# TYPE size summary\n"
        'size{quantile="0.5"} 4\nsize_count 9\nsize_sum 40\n# EOF\n'
    )
    fold = folding()
    fold.fold(page(body.encode(), 0))
    fold.fold(page(body.replace('"0.1"} 1', '"0.1"} 2').replace("size_count 9", "size_count 11").encode(), 5))
    assert {item: counts["total"] for item, counts in fold.counts.items() if "total" in counts} == {
        'took_bucket{le="0.1"}': 2,
        'took_bucket{le="+Inf"}': 3,
        "took_count": 3,
        "took_sum": 2,
        "size_count": 11,
        "size_sum": 40,
    }
    assert fold.counts['size{quantile="0.5"}'] == {"value": 4}


def test_an_epoch_in_the_future_refuses_the_answer() -> None:
    fold = folding()
    assert "begins in the future" in fold.fold(page(answer({500: 1}, created=600), 0)).problems[0]


def test_more_series_than_the_bound_are_left_out_and_named() -> None:
    fold = folding(max_items=4)
    folded = fold.fold(page(answer(dict.fromkeys(range(6), 1)), 0))
    assert len(fold.counts) == 4
    assert fold.counts["scraping"]["left_out"] == 3
    assert "more than 4 series" in folded.refused[0]["reason"]


def test_a_total_larger_than_a_counter_can_hold_is_a_problem() -> None:
    fold = folding()
    fold.fold(page(answer({500: 2**63 - 1}, created=-900), 0))
    assert "larger than a counter" in fold.fold(page(answer({500: 5}, created=3), 5)).problems[0]
    assert "larger than a counter" in folding().fold(page(answer({500: 2**63}), 0)).problems[0]


def test_a_state_that_cannot_be_read_is_a_fault_of_the_lake() -> None:
    with pytest.raises(LakeFault, match="remembers"):
        platform().fold([], {}, {"scraping": b"\xff"}, captured_at=MOMENT, latest=MOMENT)


# By the minute -------------------------------------------------------------------------------


def gains(fold: Folding, item: str, counter: str) -> dict[int, int]:
    """By minutes after MOMENT's."""
    first = int(MOMENT.timestamp()) // 60
    minutes = fold.platform.minutes(fold.carried).get(item, {}).get(counter, {})
    return {minute - first: count for minute, count in minutes.items()}


def test_gains_are_counted_in_the_minute_of_their_scrape() -> None:
    fold = folding(
        "total", "failed_requests", counters={"failed_requests": {"metric": "errors_total", "where": {"code": "5.."}}}
    )
    numbers = [(0, 40), (5, 42), (55, 50), (60, 51), (65, 60)]
    fold.fold(*[page(answer({500: number, 503: number, 200: 9}, created=-900), at) for at, number in numbers])
    assert gains(fold, FIVE_HUNDRED, "total") == {0: 10, 1: 10}
    assert gains(fold, "sum:failed_requests", "failed_requests") == {0: 20, 1: 20}
    assert gains(fold, series(200), "total") == {}


def test_of_a_gap_the_busiest_minute_had_at_least_its_share() -> None:
    fold = folding("total")
    fold.fold(page(answer({500: 0}, created=-900), 0), page(answer({500: 3001}, created=-900), 3600))
    assert gains(fold, FIVE_HUNDRED, "total") == {59: 51}


def test_a_restart_after_a_gap_counts_in_the_minutes_since_it() -> None:
    fold = folding("total")
    fold.fold(page(answer({500: 9}, created=-900), 0), page(answer({500: 60}, created=3595), 3600))
    assert gains(fold, FIVE_HUNDRED, "total") == {60: 60}


def test_values_are_kept_between_their_lowest_and_highest_of_each_minute() -> None:
    fold = folding("queue", gauges={"queue": "queue_size"})
    values = [(0, 5), (10, 90), (20, 7), (61, 3)]
    fold.fold(*[page(answer({}, {"queue_size": value, "other": 1}), at) for at, value in values])
    levels = fold.platform.levels(fold.carried)
    assert {m - int(MOMENT.timestamp()) // 60: seen for m, seen in levels["queue_size"]["queue"].items()} == {
        0: (5, 90),
        1: (3, 3),
    }
    assert levels.keys() == {"queue_size"}


# An oracle -----------------------------------------------------------------------------------


@dataclass
class Life:
    """A program in plain Python: what it counts, when it begins anew, and what was seen of that."""

    tells_epochs: bool
    now: float = 0.0
    created: float = -900.0
    value: int = 0
    lived: int = 0
    """All that it ever counted since it was seen first."""
    epochs: dict[float, int] = field(default_factory=dict)
    """By epoch what was told last."""
    seen: list[int] = field(default_factory=list)

    def does(self, what: str, amount: int) -> None:
        self.now += 1
        if what == "count":
            self.value += amount
            self.lived += amount if self.seen else 0
        elif what == "restart":
            self.created, self.value = self.now, 0

    def tells(self) -> bytes:
        self.now += 1
        self.lived = self.lived if self.seen else self.value
        self.epochs[self.created] = self.value
        self.seen.append(self.value)
        return answer({500: self.value}, created=self.created if self.tells_epochs else None)

    @property
    def total(self) -> int:
        """With epochs: of each what was told last. Without: every rise, and after a fall all of it."""
        if self.tells_epochs:
            return sum(self.epochs.values())
        rises = (now - before if now >= before else now for before, now in zip(self.seen, self.seen[1:], strict=False))
        return self.seen[0] + sum(rises)

    @property
    def resets(self) -> int:
        if self.tells_epochs:
            return len(self.epochs) - 1
        return sum(now < before for before, now in zip(self.seen, self.seen[1:], strict=False))


STEPS = st.lists(
    st.tuples(st.sampled_from(["count", "count", "restart", "gap", "scrape", "scrape", "capture"]), st.integers(0, 40)),
    min_size=1,
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(STEPS, st.booleans(), st.integers(0, 1000))
def test_totals_are_those_of_an_oracle_whatever_happens_in_between(
    steps: list[tuple[str, int]], tells_epochs: bool, at_first: int
) -> None:
    life, waiting, last = Life(tells_epochs, value=at_first), [], 0
    fold = folding(counters={"failed_requests": "errors_total"})
    for what, amount in [*steps, ("capture", 0)]:
        life.does(what, amount)
        if what in ("scrape", "capture"):
            waiting.append(page(life.tells(), life.now))
        if what == "capture":
            folded = fold.fold(*waiting)
            assert folded.problems == () and not folded.refused_count
            waiting = []
            counts = fold.counts[FIVE_HUNDRED]
            assert counts["total"] == life.total == fold.counts["sum:failed_requests"]["failed_requests"]
            assert counts["resets" if tells_epochs else "presumed_resets"] == life.resets
            assert last <= counts["total"] <= life.lived
            assert title(folded, FIVE_HUNDRED).endswith("(lower bound)") == (not tells_epochs and life.resets > 0)
            last = counts["total"]
    assert fold.counts["scraping"]["scrapes"] == len(life.seen)
