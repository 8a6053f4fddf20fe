"""What deploy/ ships for Prometheus and Grafana, with the real programs: it scrapes, an alert comes, and goes."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from pipeline.core.project import ROOT, Project
from pipeline.metrics.collector import GAUGES
from pipeline.metrics.serving import serving
from pipeline_tests.core.account import rows
from pipeline_tests.live_stack import until
from pipeline_tests.metrics.monitoring import DEPLOYED, monitoring, webhook
from pipeline_tests.metrics.parts import Vital, blog_of, made, shop_of
from pipeline_tests.platforms.feeding import MOMENT
from pipeline_tests.platforms.points.parts import error
from pipeline_tests.skips import installed

DASHBOARD = ROOT / "deploy" / "grafana" / "ratchet.json"
KNOWN = {f"ratchet_{name}" for name in GAUGES} | {"ratchet_crossings_total", "ratchet_scrape_seconds"}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with made(tmp_path) as project:
        yield project


def expressions() -> list[str]:
    """Every expression that the rules and the dashboard ask."""
    rules = yaml.safe_load((DEPLOYED / "ratchet.rules.yml").read_text())
    found = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    panels = json.loads(DASHBOARD.read_text())["panels"]
    found += [target["expr"] for panel in panels for target in panel.get("targets", ())]
    return [expression.replace("$source", ".*") for expression in found]


def test_promtool_takes_the_configuration_and_the_rules_do_what_their_tests_say() -> None:
    promtool = installed("promtool")
    for arguments in (["check", "config", "prometheus.yml"], ["test", "rules", "ratchet.rules.test.yml"]):
        ended = subprocess.run([promtool, *arguments], cwd=DEPLOYED, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_every_rule_has_a_test_that_sees_it_fire() -> None:
    rules = yaml.safe_load((DEPLOYED / "ratchet.rules.yml").read_text())
    tests = yaml.safe_load((DEPLOYED / "ratchet.rules.test.yml").read_text())["tests"]
    fired = {asked["alertname"] for test in tests for asked in test["alert_rule_test"] if asked["exp_alerts"]}
    assert fired == {rule["alert"] for group in rules["groups"] for rule in group["rules"]}


def test_amtool_takes_the_configuration_of_the_alertmanager() -> None:
    subprocess.run([installed("amtool"), "check-config", str(DEPLOYED / "alertmanager.yml")], check=True)


def test_rules_and_dashboard_ask_for_nothing_that_is_not_served() -> None:
    asked = {name for expression in expressions() for name in re.findall(r"\bratchet_\w+", expression)}
    assert asked <= KNOWN
    assert len(asked) > 15


def test_errors_raise_an_alert_that_arrives_and_goes_again(project: Project, tmp_path: Path) -> None:
    blog = blog_of(project)
    with blog.lake.writing():
        blog.tell(0, rows(a=90, b=20))
    shop = shop_of(project)
    shop.program.reports(error(1, at=480))
    watched = Vital(project, MOMENT)
    folder = tmp_path / "monitoring"
    folder.mkdir()
    with (
        webhook() as receiver,
        serving(watched.signs, 0) as address,
        monitoring(folder, address, receiver) as prometheus,
    ):
        scrapes = 'count_over_time(ratchet_count{source="shop", item="point:db.failed", counter="errors"}[1m])'
        until(lambda: (found := prometheus.query(scrapes)) and float(found[0]["value"][1]) >= 3)
        for expression in expressions():
            prometheus.query(expression)
        [at_rest] = prometheus.query('ratchet_hours{source="blog", state="observed"}')
        assert (at_rest["value"][1], at_rest["metric"]["job"]) == ("1", "ratchet")
        assert not [alert for alert in receiver.alerts if alert["labels"]["alertname"] == "ErrorsPerMinute"]

        shop.program.reports(*[error(2 + n, at=540 + n / 2) for n in range(51)])
        fired = receiver.wait_for("ErrorsPerMinute", "firing", source="shop")
        assert fired["annotations"]["summary"] == "shop: more than 50 errors a minute at point:db.failed"
        assert fired["annotations"]["description"].startswith("51 errors a minute.")

        watched.present = MOMENT + timedelta(minutes=1)
        receiver.wait_for("ErrorsPerMinute", "resolved", source="shop")
        assert watched.said == []
