"""Receivers that do what channels do on a bad day, and a mail server, on loopback."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from pipeline_tests.loopback import Quiet, serving

Mood = Literal["good", "fails", "hangs", "busy", "drops"]


@dataclass
class Webhook:
    """``bodies`` holds what it read, whatever it answered. ``mood`` may be changed at any time."""

    port: int
    mood: Mood = "good"
    bodies: list[bytes] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        return f"json://user:planted-secret@127.0.0.1:{self.port}/?rto=0.3"


@contextmanager
def webhook() -> Iterator[Webhook]:
    class Handler(Quiet):
        def do_POST(self) -> None:
            kept.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            if kept.mood == "hangs":
                kept.released.wait()
            if kept.mood in ("hangs", "drops"):
                self.close_connection = True
                return
            self.send_response({"good": 200, "fails": 500, "busy": 429}[kept.mood])
            if kept.mood == "busy":
                self.send_header("Retry-After", "120")
            self.end_headers()

    with serving(Handler) as port:
        kept = Webhook(port)
        yield kept
        kept.released.set()


@dataclass
class MailServer:
    """``refusing`` answers each recipient with 550."""

    port: int
    mails: list[str] = field(default_factory=list)
    refusing: bool = False

    @property
    def address(self) -> str:
        return f"mailto://127.0.0.1:{self.port}/?from=ratchet@example.org&to=me@example.org&mode=insecure"


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """As much of SMTP as a sender needs: greeting, envelope, data, goodbye."""

    class Handler(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(line.encode() + b"\r\n")

        def handle(self) -> None:
            self.say("220 loopback")
            for raw in self.rfile:
                word = raw.split()[0].upper() if raw.split() else b""
                if word == b"DATA":
                    self.say("354 go on")
                    lines = list(iter(self.rfile.readline, b".\r\n"))
                    kept.mails.append(b"".join(lines).decode())
                    self.say("250 taken")
                elif word == b"QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("550 no such mailbox" if kept.refusing and word == b"RCPT" else "250 fine")

    with serving(Handler) as port:
        kept = MailServer(port)
        yield kept
