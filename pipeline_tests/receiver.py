"""A receiver on loopback for messages: the webhook of Discord and an SMS gateway, in this process and in children."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from apprise.plugins.discord import NotifyDiscord

from pipeline_tests.loopback import Quiet, serving

WEBHOOK_TOKEN = "planted-token-of-the-webhook"
GATEWAY_TOKEN = "planted-token-of-the-gateway"
_GATEWAY_ANSWER = b'{"result": [{"message_id": 1, "status": "ok"}]}'

# Apprise writes to discord.com only. A child process imports this by itself when it starts.
_REDIRECTION = """
import importlib.util, os, sys

class _Loopback:
    def find_spec(self, name, path=None, target=None):
        if name != "apprise.plugins.discord":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def execute_and_redirect(module):
            execute(module)
            module.NotifyDiscord.notify_url = os.environ["RATCHET_TEST_WEBHOOK"]

        spec.loader.exec_module = execute_and_redirect
        return spec

sys.meta_path.insert(0, _Loopback())
"""


@dataclass
class Receiver:
    """``posts`` holds what arrived: the path without its query, and the body; ``pictures`` what came behind words.

    ``status`` answers what goes to paths that hold ``failing``.
    """

    port: int
    posts: list[tuple[str, Any]] = field(default_factory=list)
    pictures: list[bytes] = field(default_factory=list)
    status: int = 200
    failing: str = "/"
    arrived: threading.Condition = field(default_factory=threading.Condition)

    @property
    def webhooks(self) -> list[str]:
        """The texts that the webhook was sent."""
        return [body["content"] for path, body in self.posts if "/webhooks/" in path]

    @property
    def sms(self) -> list[str]:
        return [body["params"]["message"] for path, body in self.posts if "jsonrpc" in path]

    @property
    def channels(self) -> dict[str, str]:
        """The addresses of both, as variables of the environment."""
        return {
            "RATCHET_TEST_DISCORD": f"discord://4242/{WEBHOOK_TOKEN}/",
            "RATCHET_TEST_SMS": f"smseagle://{GATEWAY_TOKEN}@127.0.0.1:{self.port}/15551234567",
        }

    @property
    def notify(self) -> list[str]:
        """What a source's YAML says of them."""
        return [f"{{{{ env.{name} }}}}" for name in self.channels]

    def wait_for(self, posts: int, seconds: float = 60) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.posts) >= posts, seconds), self.posts


@contextmanager
def receiving(folder: Path) -> Iterator[Receiver]:
    """Receive messages of this process and of those that it starts; ``folder`` goes onto their import path."""

    class Handler(Quiet):
        def do_POST(self) -> None:
            path = self.path.split("?")[0]
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_picture = self.headers["Content-Type"].startswith("multipart/")
            self.send_response(kept.status if kept.failing in path else 200)
            self.end_headers()
            self.wfile.write(_GATEWAY_ANSWER if "jsonrpc" in path else b"")
            with kept.arrived:
                if is_picture:
                    kept.pictures.append(body)
                else:
                    kept.posts.append((path, json.loads(body)))
                kept.arrived.notify_all()

    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(_REDIRECTION)
    with serving(Handler) as port, pytest.MonkeyPatch.context() as patch:
        kept = Receiver(port)
        webhook = f"http://127.0.0.1:{port}/api/webhooks"
        patch.setattr(NotifyDiscord, "notify_url", webhook)
        patch.setenv("RATCHET_TEST_WEBHOOK", webhook)
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        for name, address in kept.channels.items():
            patch.setenv(name, address)
        yield kept
