"""Bent replies: the short form of `python -m pipeline_tests.fuzzing`, and what reaches a user over real HTTP."""

from __future__ import annotations

import pytest

from pipeline_tests.fuzzing.__main__ import fuzz
from pipeline_tests.fuzzing.judging import ACCEPTED, SHIPPED, play, recorded
from pipeline_tests.platforms.accounts.account import Account

pytestmark = pytest.mark.parametrize("account", SHIPPED, ids=str)


def test_what_is_not_bent_is_accepted(account: Account) -> None:
    assert play(recorded(account), {}) == ACCEPTED


def test_what_is_bent_ends_in_an_error_a_refusal_or_sound_items(account: Account) -> None:
    ends = fuzz(account, examples=30, start=1)
    assert ends.total() >= 30
    assert len(ends) > 1
