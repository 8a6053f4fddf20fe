"""What this program reports. The only module that knows points: whoever wants other events changes this one."""

from __future__ import annotations

from typing import Any

from pool import PoolExhausted

import ratchet_points as points


def begin(spool: str) -> None:
    points.init(app="shop", version="1.4.2", environment="production", spool=spool, before_send=completed)


def completed(event: dict[str, Any]) -> dict[str, Any]:
    """What every event of this program carries beside its own attributes."""
    event["data"]["attributes"]["currency"] = "EUR"
    return event


def order_paid(customer: str, amount: int) -> None:
    points.track("checkout.paid", who=customer, amount=amount, stacklevel=2)


def no_connection_left(error: PoolExhausted, customer: str) -> None:
    points.error("db.pool_exhausted", error, who=customer, pool=error.pool, limit=error.limit, stacklevel=2)
