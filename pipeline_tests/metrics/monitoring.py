"""A real Prometheus and a real Alertmanager with the files of deploy/prometheus, on free ports of loopback.

Only what a test cannot wait for is changed in their configuration: the ports, and the seconds between looks.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import yaml

from pipeline.core.project import ROOT
from pipeline_tests.live_stack import free_port, until
from pipeline_tests.loopback import Quiet, serving
from pipeline_tests.skips import installed

DEPLOYED = ROOT / "deploy" / "prometheus"
_PATIENCE_SECONDS = 120


@dataclass
class Webhook:
    """What the Alertmanager sent: each alert by its name, with its status, as it arrived."""

    url: str
    alerts: list[dict[str, Any]] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, name: str, status: str, **labels: str) -> dict[str, Any]:
        def found() -> list[dict[str, Any]]:
            return [
                alert
                for alert in self.alerts
                if alert["status"] == status and {"alertname": name, **labels}.items() <= alert["labels"].items()
            ]

        with self.arrived:
            assert self.arrived.wait_for(found, _PATIENCE_SECONDS), self.alerts
        return found()[-1]


@dataclass(frozen=True)
class Prometheus:
    url: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an instant query. An expression that Prometheus does not take is a failure."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", (expression, answer)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found


@contextmanager
def webhook() -> Iterator[Webhook]:
    class Handler(Quiet):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()
            with kept.arrived:
                kept.alerts.extend(body["alerts"])
                kept.arrived.notify_all()

    with serving(Handler) as port:
        kept = Webhook(f"http://127.0.0.1:{port}/alerts")
        yield kept


@contextmanager
def monitoring(folder: Path, metrics: str, receiver: Webhook) -> Iterator[Prometheus]:
    """Both programs, watching ``metrics`` each second and telling ``receiver``."""
    alerts, port = free_port(), free_port()
    route = yaml.safe_load((DEPLOYED / "alertmanager.yml").read_text())
    route["route"] |= {"group_wait": "0s", "group_interval": "1s"}
    route["receivers"][0]["webhook_configs"][0]["url"] = receiver.url
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(route))
    settings = yaml.safe_load((DEPLOYED / "prometheus.yml").read_text())
    settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    settings["rule_files"] = [str(DEPLOYED / name) for name in settings["rule_files"]]
    settings["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{alerts}"]
    settings["scrape_configs"][0]["static_configs"][0]["targets"] = [urlsplit(metrics).netloc]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    with (
        _running(
            folder,
            "prometheus-alertmanager",
            f"--config.file={folder}/alertmanager.yml",
            f"--storage.path={folder}/alerts",
            f"--web.listen-address=127.0.0.1:{alerts}",
            "--cluster.listen-address=",
            ready=f"http://127.0.0.1:{alerts}/-/ready",
        ),
        _running(
            folder,
            "prometheus",
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/samples",
            f"--web.listen-address=127.0.0.1:{port}",
            ready=f"http://127.0.0.1:{port}/-/ready",
        ),
    ):
        yield Prometheus(f"http://127.0.0.1:{port}")


@contextmanager
def _running(folder: Path, name: str, *arguments: str, ready: str) -> Iterator[None]:
    log = folder / f"{name}.log"
    with (
        log.open("wb") as file,
        subprocess.Popen([installed(name), *arguments], cwd=folder, stdout=file, stderr=subprocess.STDOUT) as process,
    ):
        try:
            until(lambda: _is_ready(process, log, ready), _PATIENCE_SECONDS)
            yield
        finally:
            process.terminate()
            process.wait(30)


def _is_ready(process: subprocess.Popen[bytes], log: Path, address: str) -> bool:
    assert process.poll() is None, log.read_text()
    try:
        return httpx.get(address).status_code == 200
    except httpx.TransportError:
        return False
