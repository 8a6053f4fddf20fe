"""What only GitHub does: two kinds of items, traffic as windows, ETags, and refusals that need their words read."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.core import history
from pipeline.core.capture import Ended, read_pages
from pipeline.core.errors import DeadSession, TransportFault
from pipeline.core.hours import Hour
from pipeline.core.lake import VALIDATED, Lake
from pipeline.core.listing import read_listing
from pipeline.core.observe import RecordedClock, observe
from pipeline.core.snapshots import read_table
from pipeline.core.sources import read_source
from pipeline.platforms.github import GitHub
from pipeline.platforms.protocol import Details, Page, Unreadable
from pipeline.sandbox.faults import Reply
from pipeline_tests.platforms.accounts import ACCOUNTS
from pipeline_tests.platforms.accounts.account import NOW, SECRET
from pipeline_tests.platforms.accounts.github import (
    GitHubAnswer,
    github_refusal,
    github_release,
    github_repository,
    github_traffic,
)
from pipeline_tests.platforms.stand_in import Asked, StandIn, answers
from pipeline_tests.platforms.test_contract import a_source, fetch

RECORDED = Path(__file__).parents[1] / "data"
BUSY = GitHubAnswer({"octo/busy": github_repository("octo/busy", 40)})


def github(url: str = "https://api.github.com", **settings: Any) -> GitHub:
    account = {"repositories": ["octo/busy"], "base_url": url, "requests_per_second": 10_000, **settings}
    return GitHub.model_validate(account)


def page(body: Any, part: str = "") -> Page:
    return Page(f"GET /repos/octo/busy{part}", 200, {}, NOW, json.dumps(body).encode())


# Recorded replies ---------------------------------------------------------------------------


def recorded(file: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((RECORDED / file).read_text())
    return found


def test_the_recorded_repository_is_read_as_it_is() -> None:
    [exchange] = recorded("github_get-repository.json")
    found = Page(f"GET {exchange['path']}", 200, {}, NOW, json.dumps(exchange["response"]).encode())
    for read in (github().read(found), github().read(github().trim(found))):
        assert read == {
            "item_id": ["octokit-fixture-org/hello-world"],
            "title": ["octokit-fixture-org/hello-world"],
            "url": ["https://github.com/octokit-fixture-org/hello-world"],
            "published_at": [datetime(2017, 10, 10, 16, tzinfo=UTC)],
            "stars": [42],
            "forks": [42],
            "subscribers": [42],
        }
    assert {"owner", "organization", "keys_url"} <= set(github().trim(found).dropped)


def test_the_recorded_release_and_its_file_are_read_as_they_are() -> None:
    exchanges = {
        f"{e['method']} {e['path'].rpartition('/releases/')[2]}": e["response"]
        for e in recorded("github_release-assets.json")
    }
    without, files = exchanges["get tags/v1.0.0"], exchanges["get 1000/assets"]
    released = page([without | {"assets": files}], "/releases?per_page=100&page=1")
    for read in (github().read(released), github().read(github().trim(released))):
        assert read == {
            "item_id": ["asset:1000"],
            "title": ["octo/busy v1.0.0 test-upload.txt"],
            "url": ["https://github.com/octokit-fixture-org/release-assets/releases/tag/v1.0.0"],
            "published_at": [datetime(2017, 10, 10, 16, tzinfo=UTC)],
            "downloads": [42],
        }
    assert {"body", "author", "assets.uploader"} <= set(github().trim(released).dropped)
    assert github().read(page([without], "/releases?per_page=100&page=1"))["item_id"] == []


def test_a_recorded_refusal_of_another_kind_is_told_by_its_status() -> None:
    [exchange] = recorded("github_errors.json")
    headers = {name: str(value) for name, value in exchange["headers"].items() if name != "content-length"}
    with StandIn(BUSY) as serving:
        serving.fail_next(Reply(exchange["status"], headers, json.dumps(exchange["response"]).encode()))
        with pytest.raises(TransportFault, match="422"):
            fetch(github(serving.url))


# Items --------------------------------------------------------------------------------------


def test_a_draft_is_not_counted_and_a_file_appears_when_its_release_does() -> None:
    late = github_release(2, [5])
    late["assets"][0]["created_at"] = "2026-03-01T00:00:00Z"
    read = github().read(
        page([github_release(3, [1], draft=True, published_at=None), late, github_release(1, [7])], "/releases")
    )
    assert read["item_id"] == ["asset:20", "asset:10"]
    assert read["published_at"] == [datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)]


@pytest.mark.parametrize("left_out", ["stargazers_count", "forks_count", "subscribers_count"])
def test_a_repository_without_one_of_its_counters_is_unreadable(left_out: str) -> None:
    found = github_repository("octo/busy", 40)
    del found[left_out]
    with pytest.raises(Unreadable, match=left_out):
        github().read(page(found))


def test_only_what_is_wanted_is_asked_for() -> None:
    with StandIn(BUSY) as serving:
        assert [page.request for page in fetch(github(serving.url, releases=False))] == ["GET /repos/octo/busy"]
    assert github(releases=False).policies.keys() == {"stars", "forks", "subscribers"}
    assert github().policies.keys() == {"stars", "forks", "subscribers", "downloads"}
    assert github(token=SECRET, traffic=True).policies == GitHub.default_policies


def test_public_numbers_need_no_token() -> None:
    with StandIn(BUSY) as serving:
        fetch(github(serving.url))
    assert all("authorization" not in sent for sent in serving.sent)
    assert all(sent["x-github-api-version"] == "2022-11-28" for sent in serving.sent)


# Traffic ------------------------------------------------------------------------------------


def test_the_traffic_of_a_repository_is_told_per_day_beside_it() -> None:
    days = {NOW.date() - timedelta(days=1): 30, NOW.date(): 0}
    read = github().read(page(github_traffic("views", days), "/traffic/views?per=day"))
    assert isinstance(read, Details)
    assert read == {"item_id": ["octo/busy"], "views": [list(days.items())]}


@pytest.mark.parametrize("timestamp", ["2026-11-21", "2026-11-21T05:00:00Z", 1763683200, None, "yesterday"])
def test_a_day_that_is_none_is_left_for_the_checks(timestamp: Any) -> None:
    told = {"count": 1, "uniques": 1, "clones": [{"timestamp": timestamp, "count": 1, "uniques": 1}]}
    assert github().read(page(told, "/traffic/clones?per=day"))["clones"] == [[(timestamp, 1)]]


@pytest.mark.parametrize("told", [{}, {"views": None}, {"views": {}}, {"views": [7]}, {"clones": []}])
def test_traffic_without_its_days_is_unreadable(told: Any) -> None:
    with pytest.raises(Unreadable):
        github().read(page(told, "/traffic/views?per=day"))


def test_hour_after_hour_a_reply_that_still_stands_costs_nothing(tmp_path: Path) -> None:
    [account] = [account for account in ACCOUNTS if account.kind == "github"]
    with account.serve() as serving:
        assert isinstance(serving, StandIn)
        source = a_source(account, serving.url, tmp_path)
        lake = Lake(tmp_path / "lake").source("mine")
        with lake.writing():
            for hours in (0, 1, 2):
                moment = NOW + timedelta(hours=hours)
                observed = observe(lake, source, Hour.of(moment), RecordedClock(moment))
                history.settle_hour(lake, source, Hour.of(moment))
                recorded = read_table(lake.path(VALIDATED, Hour.of(moment))).to_pylist()
                assert {row["item_id"]: row["views"] for row in recorded}["octo/busy"] == 34
        assert serving.statuses == [200] * 9 + [304] * 18
        pages = [part for part in read_pages(lake, observed.capture) if not isinstance(part, Ended)]
    assert {page.unchanged_since for page in pages if isinstance(page, Page)} == {NOW}


# Refusals -----------------------------------------------------------------------------------


def test_a_used_up_limit_is_waited_for_or_told_and_no_dead_session() -> None:
    reset = str(int((NOW + timedelta(minutes=40)).timestamp()))
    limits = {"x_ratelimit_limit": "60", "x_ratelimit_remaining": "0", "x_ratelimit_reset": reset}
    with StandIn(BUSY) as serving:
        serving.fail_next(github_refusal(403, "API rate limit exceeded for 127.0.0.1.", **limits))
        with pytest.raises(TransportFault, match=r"used up for 2400 s .*60 requests an hour without a token") as fault:
            fetch(github(serving.url))
    assert fault.value.retry_after == 2400
    assert len(serving.requests) == 1


@pytest.mark.parametrize("status", [403, 429])
def test_a_secondary_limit_is_waited_for(status: int) -> None:
    refusal = github_refusal(status, "You have exceeded a secondary rate limit.", retry_after="0")
    with StandIn(BUSY) as serving:
        serving.fail_next(refusal)
        assert len(fetch(github(serving.url, token=SECRET))) == 2


@pytest.mark.parametrize(
    "message",
    [
        "Must have push access to repository",
        "Resource not accessible by personal access token",
        "Resource not accessible by integration",
    ],
)
def test_a_token_that_may_not_read_traffic_says_which_right_it_lacks(message: str) -> None:
    def answer(asked: Asked) -> Reply:
        return github_refusal(403, message) if "traffic" in asked.path else BUSY(asked)

    with StandIn(answer) as serving, pytest.raises(DeadSession) as dead:
        fetch(github(serving.url, token=SECRET, traffic=True))
    assert "push access" in dead.value.what
    assert "octo/busy" in dead.value.what
    assert "traffic: false" in dead.value.next_step


def test_another_403_is_a_dead_session_like_anywhere() -> None:
    with StandIn(BUSY) as serving:
        serving.fail_next(github_refusal(403, "Resource protected by organization SAML enforcement."))
        with pytest.raises(DeadSession, match="403"):
            fetch(github(serving.url, token=SECRET))


@pytest.mark.parametrize(("token", "words"), [({}, "private and needs a token"), ({"token": SECRET}, "this token")])
def test_an_unknown_repository_is_named(token: dict[str, str], words: str) -> None:
    with StandIn(BUSY) as serving, pytest.raises(TransportFault, match=rf"no repository octo/gone.*{words}"):
        fetch(github(serving.url, repositories=["octo/gone"], **token))


def test_a_renamed_repository_is_named_and_not_followed() -> None:
    moved = answers(
        {"message": "Moved Permanently", "url": "https://api.github.com/repositories/1"}, 301, location="/x"
    )
    with StandIn(BUSY) as serving:
        serving.fail_next(moved)
        with pytest.raises(TransportFault, match="octo/busy was renamed or moved"):
            fetch(github(serving.url))
    assert len(serving.requests) == 1


# Settings and the end of a token ------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "end"),
    [
        ("2026-12-01 00:00:00 UTC", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026-12-01 09:00:00 +0900", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026-11-30 19:00:00 -0500", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026-11-22 14:17:00 UTC", None),  # the present, which google/go-github#3708 saw there
        ("soon", None),
        ("", None),
    ],
)
def test_the_end_of_a_token_is_read_from_its_header(header: str, end: datetime | None) -> None:
    headers = [("etag", "x"), ("github-authentication-token-expiration", header)]
    assert github(token=SECRET).expiry(headers, NOW) == end


def test_the_end_of_a_token_comes_with_its_pages_and_the_header_is_not_stored() -> None:
    end = {"github_authentication_token_expiration": "2026-12-01 00:00:00 UTC"}
    with StandIn(lambda asked: answers(json.loads(BUSY(asked).body), 200, **end)) as serving:
        pages = fetch(github(serving.url, token=SECRET))
    assert {page.credential_expires for page in pages} == {datetime(2026, 12, 1, tzinfo=UTC)}
    assert not any("expiration" in name for page in pages for name in page.headers)


@pytest.mark.parametrize(
    "wrong",
    [
        {"repositories": []},
        {"repositories": ["octo"]},
        {"repositories": ["octo/.."]},
        {"repositories": ["octo/."]},
        {"repositories": ["../octo"]},
        {"repositories": ["octo/busy/releases"]},
        {"repositories": ["octo/busy?x"]},
        {"repositories": ["octo/busy", "Octo/Busy"]},
        {"traffic": True},
        {"traffic": True, "token": ""},
    ],
)
def test_a_setting_that_cannot_work_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        github(**wrong)


@pytest.mark.parametrize(
    ("counters", "optional"),
    [
        (None, {"stars": True, "forks": True, "subscribers": True, "downloads": True}),
        ({"stars": "may_decrease", "downloads": "never_decreases"}, {"stars": True, "downloads": True}),
        ({"stars": {"policy": "may_decrease", "optional": False}}, {"stars": False}),
        ({"stars": {"policy": "tolerance", "tolerance": 0.1}}, {"stars": True}),
    ],
)
def test_an_item_may_lack_a_counter_unless_the_source_says_otherwise(
    tmp_path: Path, counters: dict[str, Any] | None, optional: dict[str, bool]
) -> None:
    attributes: dict[str, Any] = {"source": "mine", "platform": {"kind": "github", "repositories": ["octo/busy"]}}
    attributes |= {"counters": counters} if counters else {}
    file = tmp_path / "mine" / "defs.yaml"
    file.parent.mkdir()
    file.write_text(json.dumps({"type": "pipeline.components.CounterSource", "attributes": attributes}))
    assert {counter.name: counter.optional for counter in read_source(file, {}).counters} == optional


def test_a_source_of_traffic_alone_counts_repositories() -> None:
    platform = github(token=SECRET, traffic=True)
    window = github_traffic("views", {NOW.date(): 3})
    pages = [page(github_repository("octo/busy", 40)), page(window, "/traffic/views?per=day")]
    listing = read_listing(platform.read, [*pages, Ended(2, 0, None)], ["views"], NOW)
    assert listing.items.to_dict("records") == [
        {
            "item_id": "octo/busy",
            "title": "octo/busy",
            "url": "https://github.com/octo/busy",
            "published_at": datetime(2017, 10, 10, 16, tzinfo=UTC),
            "views": [(NOW.date(), 3)],
        }
    ]
