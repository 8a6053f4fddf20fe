"""A shop that has one connection and two customers at a time: ``python main.py SPOOL``."""

from __future__ import annotations

import sys

import signals
from orders import pay
from pool import Pool


def main(spool: str) -> None:
    signals.begin(spool)
    pool = Pool("orders", limit=1)
    print("alice paid:", pay("alice", 3, pool))
    with pool.connection():
        print("bob paid:", pay("bob", 5, pool))


if __name__ == "__main__":
    main(sys.argv[1])
