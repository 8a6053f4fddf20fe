"""How long a token or cookie still lasts, in numbers and in words."""

from __future__ import annotations

from datetime import datetime, timedelta


def days_left(expires: datetime, now: datetime) -> float:
    """Days until the credential ends; negative where it should have ended already."""
    return (expires - now) / timedelta(days=1)


def runway_words(expires: datetime, now: datetime) -> str:
    """One sentence that names the day."""
    days = days_left(expires, now)
    if days < 0:
        return f"The credential should have ended on {expires:%Y-%m-%d}, and still works."
    left = f"{days:,.0f} days" if days >= 2 else f"{days * 24:.0f} hours"
    return f"The credential lasts for another {left}, until {expires:%Y-%m-%d}."
