"""A real PostgreSQL on a free port of loopback, for as long as a test needs it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from pipeline_tests.live_stack import free_port, until

_SERVER_USER = "postgres"
"""Who runs the server where the tests run as root, for whom PostgreSQL refuses to start."""


@dataclass(frozen=True)
class Postgres:
    port: int
    user: str
    password: str
    database: str
    server: subprocess.Popen[bytes] | None = None

    def stop(self) -> None:
        """End the sessions that are open, and write everything down."""
        assert self.server is not None
        self.server.send_signal(signal.SIGINT)
        self.server.wait(timeout=60)

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables of libpq, which name this database to every client."""
        return {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGDATABASE": self.database,
        }

    @property
    def address(self) -> str:
        """The same in one line, as RATCHET_POSTGRES has it."""
        whom = f"{self.user}:{quote(self.password, safe='')}"
        return f"postgresql+psycopg2://{whom}@127.0.0.1:{self.port}/{self.database}"

    def query(self, sql: str) -> str:
        """What psql prints of one query: a row a line, columns separated by ``|``."""
        return self._client("psql", "--no-align", "--tuples-only", "--command", sql).stdout.strip()

    def answers(self) -> bool:
        return self._client("pg_isready", check=False).returncode == 0

    def _client(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **self.environment}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=check)


@contextmanager
def running_postgres(user: str, password: str, database: str) -> Iterator[Postgres]:
    """A new cluster with one database of ``user``, reachable by TCP with ``password`` only; gone afterwards."""
    # Not below pytest's folder, which only its owner may enter.
    with TemporaryDirectory(prefix="ratchet-postgres-") as folder:
        cluster, secret = Path(folder) / "cluster", Path(folder) / "password"
        secret.write_text(password)
        runs_as = _SERVER_USER if os.geteuid() == 0 else None
        if runs_as is not None:
            for path in (Path(folder), secret):
                shutil.chown(path, runs_as)
        trusted = ["--auth=scram-sha-256", f"--username={user}", f"--pwfile={secret}"]
        _run([server_program("initdb"), "--pgdata", str(cluster), "--no-sync", *trusted], runs_as)
        port = free_port()
        listening = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"]
        server = subprocess.Popen(
            [server_program("postgres"), "-D", str(cluster), "-p", str(port), *listening],
            cwd=folder,
            user=runs_as,
            group=runs_as,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        found = Postgres(port, user, password, database, server)
        try:
            until(lambda: found.answers() or None)
            found._client("createdb", "--maintenance-db=postgres", database)
            yield found
        finally:
            found.stop()


def _run(command: list[str], user: str | None) -> None:
    subprocess.run(command, user=user, group=user, cwd="/", capture_output=True, text=True, timeout=120, check=True)


def server_program(name: str) -> str:
    """Debian keeps the programs of the server out of the path."""
    places = [*sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True), os.environ["PATH"]]
    found = shutil.which(name, path=os.pathsep.join(places))
    assert found is not None, f"{name} is not installed: apt-get install postgresql"
    return found
