"""Databases of a PostgreSQL server for the length of a rehearsal, beside those that are there."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from pipeline.core.errors import ConfigError
from pipeline.running import POSTGRES


@contextmanager
def throw_away_database(address: str) -> Iterator[str]:
    """The address of a new database on the server of ``address``, whose own database is left alone.

    Raises ConfigError where none can be made there. Dropped at the end, whoever is still connected.
    """
    name = f"ratchet_rehearsal_{secrets.token_hex(4)}"
    server = create_engine(address, isolation_level="AUTOCOMMIT")
    try:
        try:
            with server.connect() as connection:
                connection.execute(text(f"CREATE DATABASE {name}"))
        except SQLAlchemyError as fault:
            said = " ".join(str(getattr(fault, "orig", None) or type(fault).__name__).split())
            raise ConfigError(
                f"No database for the rehearsal could be made on the server of {POSTGRES}: {said}",
                "Start it, and give its role the right: ALTER ROLE ... CREATEDB. Or unset the variable and use SQLite.",
            ) from None
        try:
            yield make_url(address).set(database=name).render_as_string(hide_password=False)
        finally:
            with server.connect() as connection:
                connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
    finally:
        server.dispose()
