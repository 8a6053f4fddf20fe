"""Messages reach real receivers on loopback once, and no address leaves its secrets anywhere."""

import email
import json
import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email import policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, get_args

import pytest
from apprise.plugins.discord import NotifyDiscord
from apprise.plugins.slack import NotifySlack

from pipeline.notify import delivery
from pipeline.notify.delivery import Channel, Delivery, deliver
from pipeline.notify.wording import Message, Tone, crossings_message
from pipeline_tests.loopback import Quiet, serving

from .hostile import mail_server
from .reports import HOSTILE_TITLES, crossing, report

# Apprise's PGP support imports `imghdr` where Python (before 3.13) still has it.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

KEY = "2026-11-22T14-crossings"
MESSAGE = Message("my_blog: 1 item passed a mark", "- 100 views: “A”\nAll items", ("views crosses|n1|100",))
SENT_AT = datetime(2026, 11, 22, 14, 18, tzinfo=UTC)
TITLES = list(HOSTILE_TITLES.values())
BCC = HOSTILE_TITLES["mail header"]
ANSWERS = {"jsonrpc": b'{"result": [{"message_id": 1, "status": "ok"}]}', "services": b"ok"}
SECRET = "s3cr3t-t0ken-of-this-test"


@dataclass
class Receiver:
    """A server on loopback that keeps what it is sent and answers with ``status``."""

    port: int
    posts: list[tuple[str, Any]] = field(default_factory=list)
    status: dict[str, int] = field(default_factory=dict)
    location: str | None = None
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.posts]

    @property
    def discord(self) -> str:
        return f"discord://4242/{SECRET}/"

    @property
    def json(self) -> str:
        return f"json://user:{SECRET}@127.0.0.1:{self.port}/generic"

    @property
    def sms(self) -> str:
        return f"smseagle://{SECRET}@127.0.0.1:{self.port}/15551234567"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    class Handler(Quiet):
        def do_POST(self) -> None:
            path = self.path.split("?")[0]
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_json = "json" in self.headers["Content-Type"]
            kept.posts.append((path, json.loads(body) if is_json else body))
            if path == "/hangs":
                kept.released.wait()
            self.send_response(kept.status.get(path, 200) if is_json else kept.status.get("picture", 200))
            if kept.location:
                self.send_header("Location", kept.location)
            self.end_headers()
            self.wfile.write(ANSWERS.get(path.split("/")[1], b""))

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

    with serving(Handler) as port:
        kept = Receiver(port)
        monkeypatch.setattr(NotifyDiscord, "notify_url", f"http://127.0.0.1:{port}/api/webhooks")
        monkeypatch.setattr(NotifySlack, "webhook_url", f"http://127.0.0.1:{port}/services")
        yield kept
        kept.released.set()


class MemoryReceipts(dict[str, Mapping[str, Any]]):
    """Receipts as the lake keeps them: published once, never replaced."""

    def has(self, key: str) -> bool:
        return key in self

    def put(self, key: str, receipt: Mapping[str, Any]) -> None:
        if key in self:
            raise FileExistsError(key)
        self[key] = receipt


def send(*channels: str, receipts: delivery.Receipts, message: Message = MESSAGE, key: str = KEY) -> list[Delivery]:
    return deliver(message, channels, key=key, receipts=receipts, now=lambda: SENT_AT)


def results(deliveries: list[Delivery]) -> list[str]:
    return [each.result for each in deliveries]


def test_each_kind_of_channel_gets_one_message_and_a_second_call_sends_nothing(receiver: Receiver) -> None:
    channels = (receiver.discord, receiver.json, receiver.sms)
    receipts = MemoryReceipts()
    assert results(send(*channels, receipts=receipts)) == ["sent", "sent", "sent"]
    assert results(send(*channels, receipts=receipts)) == ["already", "already", "already"]

    posts = dict(receiver.posts)
    assert len(receiver.posts) == len(posts) == 3
    assert posts[f"/api/webhooks/4242/{SECRET}"]["content"] == f"{MESSAGE.title}\r\n{MESSAGE.body}"
    assert posts["/generic"]["title"] == MESSAGE.title
    assert posts["/generic"]["message"] == MESSAGE.body
    sms = next(body for path, body in receiver.posts if "jsonrpc" in path)
    assert sms["params"]["to"] == "15551234567"
    assert MESSAGE.title in sms["params"]["message"]
    assert MESSAGE.body in sms["params"]["message"]


PICTURED = replace(MESSAGE, picture=b"\x89PNG\r\n\x1a\nof this test")


def test_a_chat_shows_the_picture_behind_the_words_and_a_gateway_is_spared_it(receiver: Receiver) -> None:
    channels = (receiver.discord, receiver.json, receiver.sms)
    assert results(send(*channels, receipts=MemoryReceipts(), message=PICTURED)) == ["sent"] * 3
    words, picture, generic, sms = (body for _, body in receiver.posts)
    assert words["content"] == f"{MESSAGE.title}\r\n{MESSAGE.body}"
    assert PICTURED.picture in picture
    assert b'filename="chart.png"' in picture
    assert MESSAGE.body.encode() not in picture
    assert generic["attachments"] == []
    assert "attachments" not in sms["params"]


def test_a_chat_that_refuses_the_picture_has_the_words_and_is_not_told_again(receiver: Receiver) -> None:
    receiver.status["picture"] = 413
    receipts = MemoryReceipts()
    (first,) = send(receiver.discord, receipts=receipts, message=PICTURED)
    assert (first.result, first.detail) == ("sent", "Its picture was not taken: It answered with HTTP status 413.")
    assert results(send(receiver.discord, receipts=receipts, message=PICTURED)) == ["already"]
    assert len(receiver.posts) == 2


def test_a_mail_holds_the_picture() -> None:
    with mail_server() as mail:
        assert results(send(mail.address, receipts=MemoryReceipts(), message=PICTURED)) == ["sent"]
    (raw,) = mail.mails
    (picture,) = email.message_from_string(raw, policy=policy.default).iter_attachments()
    assert (picture.get_filename(), picture.get_content_type()) == ("chart.png", "image/png")
    assert picture.get_content() == PICTURED.picture


def test_a_webhook_address_as_the_service_shows_it_is_understood(receiver: Receiver) -> None:
    address = f"https://discord.com/api/webhooks/4242/{SECRET}"
    assert results(send(address, receipts=MemoryReceipts())) == ["sent"]
    assert receiver.paths == [f"/api/webhooks/4242/{SECRET}"]


def test_a_receipt_says_what_was_sent_where_and_when(receiver: Receiver) -> None:
    receipts = MemoryReceipts()
    send(receiver.json, receipts=receipts)
    channel = Channel(receiver.json).id
    assert receipts == {
        f"{KEY}--{channel}": {
            "key": KEY,
            "channel": channel,
            "sent_at": "2026-11-22T14:18:00Z",
            "title": MESSAGE.title,
            "crossings": ("views crosses|n1|100",),
        }
    }


def test_the_next_hour_is_another_message(receiver: Receiver) -> None:
    receipts = MemoryReceipts()
    send(receiver.json, receipts=receipts)
    assert results(send(receiver.json, receipts=receipts, key="2026-11-22T15-crossings")) == ["sent"]
    assert len(receiver.posts) == 2


def test_a_failing_channel_holds_back_no_other_and_is_the_only_one_tried_again(receiver: Receiver) -> None:
    receiver.status["/generic"] = 500
    channels = (receiver.json, receiver.discord, receiver.sms)
    receipts = MemoryReceipts()
    failed, *others = send(*channels, receipts=receipts)
    assert failed.result == "failed"
    assert "HTTP status 500" in failed.detail
    assert results(others) == ["sent", "sent"]
    assert len(receipts) == 2

    receiver.status.clear()
    receiver.posts.clear()
    assert results(send(*channels, receipts=receipts)) == ["sent", "already", "already"]
    assert receiver.paths == ["/generic"]


def test_a_failure_counts_even_where_the_address_calls_the_channel_optional(receiver: Receiver) -> None:
    receiver.status["/generic"] = 500
    assert results(send(f"{receiver.json}?optional=yes", receipts=MemoryReceipts())) == ["failed"]


def test_a_redirect_is_a_failure_because_the_message_is_lost_on_the_way(receiver: Receiver) -> None:
    receiver.status["/generic"] = 302
    receiver.location = f"http://127.0.0.1:{receiver.port}/elsewhere"
    assert results(send(receiver.json, receipts=MemoryReceipts())) == ["failed"]


def test_a_channel_that_never_answers_is_given_up_at_its_read_timeout(receiver: Receiver) -> None:
    hanging = f"json://127.0.0.1:{receiver.port}/hangs?rto=0.05"
    first, second = send(hanging, receiver.json, receipts=MemoryReceipts())
    assert (first.result, second.result) == ("failed", "sent")
    assert "did not answer in time" in first.detail


def test_a_channel_that_outlasts_its_own_timeouts_is_bounded(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "PATIENCE_SECONDS", 0.05)
    hanging = f"json://127.0.0.1:{receiver.port}/hangs?rto=60"
    (only,) = send(hanging, receipts=MemoryReceipts())
    assert only.result == "failed"
    assert "within 0.05 seconds" in only.detail


def test_a_channel_that_cannot_be_reached_fails(receiver: Receiver) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        port = closed.server_address[1]
    (only,) = send(f"json://127.0.0.1:{port}/", receipts=MemoryReceipts())
    assert only.result == "failed"
    assert "could not be reached" in only.detail


@pytest.mark.parametrize("address", ["", SECRET, f"nosuch://{SECRET}", f"discord://{SECRET}", "json://[", "a\x00b"])
def test_an_address_that_apprise_does_not_understand_is_a_failed_delivery(receiver: Receiver, address: str) -> None:
    receipts = MemoryReceipts()
    first, second = send(address, receiver.json, receipts=receipts)
    assert first.result == "failed"
    assert "not one that apprise understands" in first.detail
    assert second.result == "sent"
    assert list(receipts) == [f"{KEY}--{second.channel}"]


def test_nothing_more_is_sent_while_receipts_cannot_be_written(receiver: Receiver) -> None:
    class FullDisk(MemoryReceipts):
        def put(self, key: str, receipt: Mapping[str, Any]) -> None:
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        send(receiver.json, receiver.sms, receipts=FullDisk())
    assert receiver.paths == ["/generic"]


@pytest.mark.parametrize("titles", [TITLES[first : first + 8] for first in range(0, len(TITLES), 8)])
def test_titles_take_no_effect_in_what_a_channel_receives(receiver: Receiver, titles: list[str]) -> None:
    message = crossings_message(report(*(crossing(item_id=str(n), title=title) for n, title in enumerate(titles))))
    slack = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/"
    html = f"{receiver.json}?format=html"
    channels = (
        receiver.discord,
        f"{receiver.discord}?format=markdown",
        slack,
        f"{slack}?format=markdown",
        html,
    )
    assert set(results(send(*channels, receipts=MemoryReceipts(), message=message))) == {"sent"}
    assert message.body.count("- 100 views") == len(titles)
    for _, body in receiver.posts:
        assert "allow_mentions" not in body
        text = json.dumps(body, ensure_ascii=False)
        for active in (
            "@everyone",
            "@here",
            "<@",
            "<!",
            "<#",
            "<script",
            "://evil",
            "evil.example",
            "\u202e",
        ):
            assert active not in text


def test_a_webhook_of_a_program_gets_titles_as_they_are(receiver: Receiver) -> None:
    title = "@everyone [a_b](https://evil.example) #1"
    message = crossings_message(report(crossing(title=title)))
    assert results(send(receiver.json, receiver.discord, receipts=MemoryReceipts(), message=message)) == [
        "sent",
        "sent",
    ]
    (_, data), (_, chat) = receiver.posts
    assert data["message"].split("\n")[0] == f"- 100 views (97 → 104): “{title}”"
    assert "@everyone" not in chat["content"]


@pytest.mark.parametrize("tone", get_args(Tone))
def test_a_webhook_is_told_what_kind_of_news_it_is(receiver: Receiver, tone: Tone) -> None:
    send(receiver.json, receipts=MemoryReceipts(), message=replace(MESSAGE, tone=tone))
    ((_, body),) = receiver.posts
    assert body["type"] == tone


def test_a_title_adds_no_header_to_a_mail() -> None:
    with mail_server() as mail:
        message = crossings_message(report(crossing(title=BCC), source=BCC))
        assert results(send(mail.address, receipts=MemoryReceipts(), message=message)) == ["sent"]
    (raw,) = mail.mails
    received = email.message_from_string(raw, policy=policy.default)
    assert {"Bcc", "Cc"}.isdisjoint(received)
    assert received["To"] == "me@example.org"
    assert received["Subject"] == message.title
    assert received["Subject"].count("Bcc") == 1


def test_lines_stay_lines_where_a_channel_shows_html(receiver: Receiver) -> None:
    send(f"{receiver.json}?format=html", receipts=MemoryReceipts())
    ((_, body),) = receiver.posts
    assert body["message"].replace("&nbsp;", " ") == MESSAGE.body.replace("\n", "<br/>")


def test_secrets_of_an_address_appear_nowhere(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    receiver.status["/generic"] = 500
    broken = f"discord://{SECRET}"
    receipts = MemoryReceipts()
    channels = (receiver.discord, receiver.json, receiver.sms, broken, SECRET)
    deliveries = send(*channels, receipts=receipts)
    assert results(deliveries) == ["sent", "failed", "sent", "failed", "failed"]
    shown = [repr(deliveries), repr(dict(receipts)), caplog.text, *(repr(Channel(each)) for each in channels)]
    for text in shown:
        assert SECRET not in text
        assert "4242" not in text


def test_a_channel_is_known_by_its_scheme_and_eight_digits() -> None:
    channel = Channel(f"discord://4242/{SECRET}")
    assert repr(channel) == f"Channel(id='{channel.id}')"
    assert channel.id == "discord-fd3fb70e"  # receipts of earlier months are found by it
    assert Channel(f"discord://4242/{SECRET}2").id != channel.id
    assert Channel(SECRET).id.startswith("unreadable-")
