"""One account for each adapter, behind a stand-in that behaves as its platform does: `test_contract` runs them all.

An account says what its adapter is configured with, and which items the whole listing is, in the
values that a source records. Each is larger than one page and holds what the platform is known for:
numbers as text, counters that are missing, offsets.
"""

from __future__ import annotations

from pipeline_tests.platforms.accounts import (
    dashboard,
    forem,
    github,
    mastodon,
    note,
    openmetrics,
    plume,
    qiita,
    youtube,
    zenn,
)
from pipeline_tests.platforms.accounts.account import Account

ACCOUNTS: tuple[Account, ...] = tuple(
    module.account() for module in (plume, note, forem, github, youtube, dashboard, zenn, qiita, mastodon)
)
FEEDS: tuple[Account, ...] = (openmetrics.account(),)
"""Their pages are counted and list no items by themselves, so of the contract they play what is about asking."""
