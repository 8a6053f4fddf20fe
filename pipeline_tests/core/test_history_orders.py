"""Whatever the order in which captures and corrections came, the lake ends as if it had been told in order."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core import history
from pipeline.core.corrections import Choice, decide
from pipeline.core.errors import ConfigError, Refused
from pipeline.core.model import Bounds, Rule, RuleKind

from .account import MILESTONES, Account, Row, hour, row
from .snapshots import at
from .traffic import told, traffic_account

Told = tuple[float, list[Row]]
Decision = tuple[float, Choice]

BOUNDS = Bounds(gone_items=1, gone_share=0.0, fallen_items=1, fallen_share=0.0)
RULES = (MILESTONES, Rule("views", RuleKind.RATE_ABOVE, (50.0,), rearm_below=25.0))
PUBLISHED = ("validated", "delta", "report")
TIMES = [0.0, 0.3, 1.0, 2.0, 2.3, 3.0]

COUNTS = st.sampled_from([90, 100, 150, 210])
LISTINGS = st.builds(
    lambda counts, twice: [row(key, *values) for key, values in counts.items()] + ([row("a", 100)] if twice else []),
    st.dictionaries(st.sampled_from("abc"), st.tuples(COUNTS, COUNTS, COUNTS), min_size=1),
    st.sampled_from([False, False, False, True]),
)
HISTORIES = st.lists(st.sampled_from(TIMES), min_size=2, max_size=4, unique=True).flatmap(
    lambda times: st.tuples(*(st.tuples(st.just(time), LISTINGS) for time in times))
)
CHOICES = st.one_of(
    st.sampled_from([Choice("accept"), Choice("reject")]),
    st.builds(Choice, st.just("lower"), st.lists(st.sampled_from("abc"), min_size=1, unique=True)),
)
DECISIONS = st.lists(st.tuples(st.sampled_from(TIMES), CHOICES), min_size=1, max_size=4)
WINDOWS = st.dictionaries(st.integers(-3, 0), st.sampled_from([0, 5, 9]))
TRAFFIC = st.lists(st.sampled_from(TIMES), min_size=2, max_size=3, unique=True).flatmap(
    lambda times: st.tuples(*(st.tuples(st.just(time), WINDOWS) for time in times))
)
EXAMPLES = int(os.environ.get("RATCHET_TEST_EXAMPLES", "8"))  # each takes a second or two
THOROUGH = settings(deadline=None, derandomize=True, max_examples=EXAMPLES)


def account_under(stack: ExitStack, folder: Path) -> Account:
    account = Account.under(folder, bounds=BOUNDS, rules=RULES)
    stack.enter_context(account.lake.writing())
    return account


def tell_in_order(account: Account, captures: Sequence[Told]) -> None:
    for time, listing in sorted(captures, key=lambda told: told[0]):
        account.tell(time, listing)


def contents(account: Account) -> dict[str, Any]:
    return {**account.files(*PUBLISHED), **account.states(5)}


@THOROUGH
@given(HISTORIES)
def test_captures_that_arrive_in_any_order_make_the_same_lake(captures: tuple[Told, ...]) -> None:
    with TemporaryDirectory() as folder, ExitStack() as stack:
        told = account_under(stack, Path(folder) / "told")
        tell_in_order(told, captures)
        assert not (told.lake.root / "superseded").exists()
        arrived = account_under(stack, Path(folder) / "arrived")
        for time, listing in captures:  # in the order in which they were drawn
            arrived.tell(time, listing)
            history.finish_interrupted(arrived.lake, arrived.source)
        assert contents(arrived) == contents(told)


@THOROUGH
@given(HISTORIES, DECISIONS)
def test_a_corrected_lake_equals_one_that_knew_the_corrections_from_the_start(
    captures: tuple[Told, ...], decisions: list[Decision]
) -> None:
    with TemporaryDirectory() as folder, ExitStack() as stack:
        corrected = account_under(stack, Path(folder) / "corrected")
        tell_in_order(corrected, captures)
        for number, (time, choice) in enumerate(decisions):
            with suppress(ConfigError, Refused):  # nothing to decide on there
                made_at = at(10 + number)
                decide(corrected.lake, corrected.source, hour(time), choice, by="Ada", reason="I know", made_at=made_at)
            history.finish_interrupted(corrected.lake, corrected.source)
        told = account_under(stack, Path(folder) / "told")
        if corrected.lake.correction_paths():
            shutil.copytree(corrected.lake.root / "corrections", told.lake.root / "corrections")
        tell_in_order(told, captures)
        assert contents(corrected) == contents(told)
        assert corrected.settle(0) == []


@settings(THOROUGH, max_examples=max(4, EXAMPLES // 2))
@given(TRAFFIC)
def test_windows_that_arrive_in_any_order_add_up_to_the_same_totals(
    windows: tuple[tuple[float, dict[int, int]], ...],
) -> None:
    with TemporaryDirectory() as folder, ExitStack() as stack:
        in_order, arrived = (traffic_account(Path(folder) / name, bounds=BOUNDS) for name in ("in_order", "arrived"))
        for account, captures in ((in_order, sorted(windows, key=lambda capture: capture[0])), (arrived, windows)):
            stack.enter_context(account.lake.writing())
            for time, window in captures:
                account.tell(time, told(window, {0: 1}))
                history.finish_interrupted(account.lake, account.source)
        assert contents(arrived) == contents(in_order)
        assert arrived.settle(0) == []
