"""The business: orders are paid. What is worth reporting is said in the program's own words."""

from __future__ import annotations

import signals
from pool import Pool, PoolExhausted


def pay(customer: str, amount: int, pool: Pool) -> bool:
    """Take the money for an order. False if the customer has to try again."""
    try:
        with pool.connection():
            signals.order_paid(customer, amount)
            return True
    except PoolExhausted as error:
        # Here the overflow has a meaning, a customer who could not pay, and here alone it is reported.
        signals.no_connection_left(error, customer)
        return False
