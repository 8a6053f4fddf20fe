"""Secrets: planted ones are in no file of the lake, in nothing that Dagster keeps, in no output and no error."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, quote_plus

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import BaseModel, SecretStr

from pipeline.core.errors import TransportFault
from pipeline.core.hours import Hour
from pipeline.core.observe import PresentClock
from pipeline.core.withheld import withhold
from pipeline.failures import failing_loudly
from pipeline.graph import notify_job
from pipeline.sandbox.faults import HTML_PAGE, LOGIN_REDIRECT, Reply, TruncatedJson
from pipeline_tests.dagster_parts import (
    BLOG,
    COOKIE,
    COOKIE_VARIABLE,
    Blog,
    made_blog,
    made_project,
    present_moment,
    ratchet,
    run_program,
)
from pipeline_tests.receiver import GATEWAY_TOKEN, WEBHOOK_TOKEN, receiving

SECRETS = {"cookie": COOKIE, "webhook": WEBHOOK_TOKEN, "gateway": GATEWAY_TOKEN}


def forms(secret: str) -> set[bytes]:
    """A secret as it is, as it stands in an address, and within base64 at each of its three offsets."""
    plain = {secret, quote(secret, safe=""), quote_plus(secret), secret.replace("/", "\\/")}
    encoded = set()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for offset in range(3):
            whole = encode(b"x" * offset + secret.encode())
            encoded.add(whole[4 if offset else 0 : -4])
    return {each.encode() for each in plain} | encoded


def opened(path: Path) -> bytes:
    """A file as it is and, where it is compressed, as it reads."""
    content = path.read_bytes()
    if path.suffix == ".zst":
        with pa.input_stream(path, compression="zstd") as stream:
            content += stream.read()
    if path.suffix == ".parquet":
        table = pq.read_table(path, partitioning=None)
        content += repr((table.to_pylist(), table.schema.metadata)).encode()
    return content


@dataclass
class Happened:
    blog: Blog
    said: str


@pytest.fixture(scope="module")
def happened(tmp_path_factory: pytest.TempPathFactory, new_home: Path) -> Iterator[Happened]:
    """Accepted, told, told in vain, refused, turned away in each way, not reached, and configured wrongly."""
    folder = tmp_path_factory.mktemp("secrets")
    rules = [{"counter": "views", "crosses": [100]}]
    said: list[str] = []
    with (
        made_project(folder, new_home) as project,
        receiving(folder / "path") as receiver,
        made_blog(project, rules=rules, notify=receiver.notify) as blog,
    ):
        present = Hour.of(present_moment(timedelta(minutes=3)))
        blog.account.views = {"n1": 80, "n2": 95}
        assert blog.capture((present + -2).start).success
        for fault in (Reply(401), Reply(403), LOGIN_REDIRECT, HTML_PAGE, Reply(404), TruncatedJson()):
            blog.sandbox.fail_next(fault)
            outcome = blog.capture((present + -1).start + timedelta(minutes=10))
            assert not outcome.success
            said.append(repr(outcome))
        for what in ("dead", "sound"):
            blog.account.views = {"n1": 81, "n2": 105}
            blog.sandbox.cookie = {"dead": "another-session", "sound": COOKIE}[what]
            receiver.status = 500
            done = ratchet("collect", BLOG)
            said += [done.stdout, done.stderr]
        assert done.returncode == 18, done.stderr
        job = blog.runs.definitions.resolve_job_def(notify_job(blog.source))
        config = {"ops": {f"{BLOG}_send": {"config": {"hour": present.key}}}}
        for status in (500, 200):
            receiver.status = status
            tried = ratchet("alert", "test")  # a success ends the wait for the channels that failed
            assert tried.returncode == {500: 18, 200: 0}[status]
            said += [tried.stdout, tried.stderr]
            result = job.execute_in_process(run_config=config, instance=blog.instance, raise_on_error=False)
            assert result.success == (status == 200)
        assert len(list((blog.lake.root / "receipts").iterdir())) == 2
        said += [repr(blog.source), repr(blog.runs.source.platform), repr(PresentClock())]
        for broken in ("platform: {kind: note, base_url: '{{ env.%s }}', session_cookie: x}", "minute: '{{ env.%s }}'"):
            file = project.defs / "broken" / "defs.yaml"
            file.parent.mkdir(exist_ok=True)
            file.write_text(
                "type: pipeline.components.CounterSource\nattributes:\n  source: broken\n"
                f"  {broken % COOKIE_VARIABLE}\n"
            )
            checked = [ratchet("source", "check"), ratchet("collect", "broken")]
            assert [each.returncode for each in checked] == [2, 2]
            said += [text for each in checked for text in (each.stdout, each.stderr)]
        validated = run_program("dagster", "definitions", "validate", "-w", "workspace.yaml")
        assert validated.returncode == 0
        said += [validated.stdout, validated.stderr]
        yield Happened(blog, "\n".join(said))


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_in_no_file_of_the_lake_or_of_dagster(happened: Happened, name: str) -> None:
    data = happened.blog.project.data
    kept = {str(path.relative_to(data)): opened(path) for path in data.rglob("*") if path.is_file()}
    assert b"application/json" in b"".join(content for file, content in kept.items() if file.endswith(".zst"))
    assert any(file.startswith("lake/blog/raw/") for file in kept)
    assert any(file.startswith("dagster/") and file.endswith(".db") for file in kept)
    found = {file for file, content in kept.items() for form in forms(SECRETS[name]) if form in content}
    assert found == set()


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_in_no_output_and_no_error(happened: Happened, name: str) -> None:
    assert "answered 401" in happened.said
    assert "did not reach" in happened.said
    assert "defs.yaml:4" in happened.said
    assert [form for form in forms(SECRETS[name]) if form in happened.said.encode()] == []


def test_the_search_would_find_each_form() -> None:
    for secret in SECRETS.values():
        for hidden in (secret, quote(secret, safe=""), base64.b64encode(f"_note_session={secret};".encode()).decode()):
            assert any(form in hidden.encode() for form in forms(secret))


def test_an_error_is_told_without_a_cause_that_holds_a_secret() -> None:
    class Account(BaseModel):
        token: SecretStr

    withhold(Account(token=SecretStr("planted-token-of-an-account")))
    with pytest.raises(dg.Failure) as told, failing_loudly():
        raise TransportFault("the platform was not reached") from ValueError("planted-token-of-an-account")
    assert told.value.__cause__ is None
    assert "transport" in repr(told.value.metadata)
    with pytest.raises(dg.Failure) as told, failing_loudly():
        raise TransportFault("the platform was not reached") from ValueError("no route")
    assert isinstance(told.value.__cause__, TransportFault)
