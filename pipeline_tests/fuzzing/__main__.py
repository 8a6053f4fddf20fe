"""`python -m pipeline_tests.fuzzing`: bend the replies of every platform, and 1 where one slipped through."""

from __future__ import annotations

import sys
from collections import Counter

import click
from hypothesis import HealthCheck, given, seed, settings
from rich.console import Console
from rich.table import Table

from pipeline_tests.fuzzing.bending import bends
from pipeline_tests.fuzzing.judging import ACCEPTED, ERROR, REFUSED, SHIPPED, play, recorded
from pipeline_tests.platforms.accounts.account import Account


def fuzz(account: Account, examples: int, start: int) -> Counter[str]:
    """Bend that many captures of one account; what became of them. Raises AssertionError with the smallest example."""
    from hypothesis import strategies as st

    told = recorded(account)
    ends: Counter[str] = Counter()
    places = st.integers(0, len(told.pages) - 1)

    @seed(start)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.dictionaries(places, bends(), min_size=1, max_size=2))
    def bent(chosen: dict[int, object]) -> None:
        ends[play(told, chosen)] += 1  # type: ignore[arg-type]

    bent()
    return ends


@click.command()
@click.option("--examples", type=click.IntRange(min=8), default=10_000, show_default=True, help="Over all platforms.")
@click.option("--seed", "start", type=int, default=1, show_default=True, help="Repeats a run.")
def main(examples: int, start: int) -> None:
    """Drop, swap, repeat, truncate, nest: bent replies through every adapter and every check.

    Example: python -m pipeline_tests.fuzzing --examples 1000
    """
    console = Console()
    table = Table("platform", "bent captures", ERROR, REFUSED, ACCEPTED, "slipped through", box=None)
    failed = False
    for account in SHIPPED:
        try:
            ends, slipped = fuzz(account, examples // len(SHIPPED), start), 0
        except AssertionError as fault:
            failed, ends, slipped = True, Counter(), 1
            console.print(f"[red]✗[/] {account}: {fault}", highlight=False)
        counts = [str(ends[end]) for end in (ERROR, REFUSED, ACCEPTED)]
        table.add_row(str(account), str(ends.total()), *counts, str(slipped))
    console.print(table)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
