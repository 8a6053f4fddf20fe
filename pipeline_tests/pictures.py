"""The pictures of the docs, made again of the replayed recording: ``make pictures`` after ``make run``."""

from __future__ import annotations

import tempfile
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By

from pipeline.core.project import ROOT, Project
from pipeline.site.build import site_folder
from pipeline_tests.chromium import chromium
from pipeline_tests.dagster_ui import DagsterUi
from pipeline_tests.live_stack import running_stack

PICTURES = ROOT / "docs" / "pictures"
REFUSED, JUMP = "2026-03-19-13:00", "2026-03-19-16:00"


def of_dagster(ui: DagsterUi) -> None:
    ui.hide_navigation()
    ui.lineage("recorded", "677 partitions", "Passed")
    ui.picture("lineage", (68, 400, 1260, 580))
    ui.check("recorded", "unique_items", REFUSED, "Listed more than once")
    ui.picture("refused")
    ui.asset("recorded", "threshold_report", "top_movers", partition=JUMP)
    ui.picture("report")


def of_page(driver: webdriver.Chrome, page: Path) -> None:
    driver.get(page.as_uri())
    driver.find_element(By.XPATH, "//table[@id='items']//button[contains(., 'n093')]").click()
    for name, section in (("page", "charts"), ("first-hours", "ages"), ("spikes", "spikes")):
        element = driver.find_element(By.CSS_SELECTOR, f"section[aria-labelledby={section}-title]")
        assert element.screenshot(str(PICTURES / f"{name}.png"))


def main() -> None:
    project = Project.here()
    with (
        tempfile.TemporaryDirectory() as folder,
        running_stack(project, Path(folder)) as stack,
        chromium(1260, 1090) as driver,
    ):
        of_dagster(DagsterUi(driver, f"http://127.0.0.1:{stack.web_port}", PICTURES))
        of_page(driver, site_folder(project) / "recorded.html")


if __name__ == "__main__":
    main()
