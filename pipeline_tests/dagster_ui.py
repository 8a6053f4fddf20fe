"""The Dagster UI in a real Chromium: the ways that a person goes through it, and pictures of what they see.

The tests go these ways, and `pipeline_tests.pictures` makes those of the docs on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.expected_conditions import element_to_be_clickable, visibility_of_element_located
from selenium.webdriver.support.ui import WebDriverWait

SECONDS = 90
"""For a page of the UI: its first load compiles 10 MB of script beside a whole stack."""


@dataclass
class DagsterUi:
    """``folder`` takes the pictures."""

    driver: webdriver.Chrome
    address: str
    folder: Path

    def open(self, path: str, *texts: str) -> None:
        """Open a page of the UI and wait until it shows these texts."""
        self.driver.get(self.address + path)
        self.shows(*texts)

    def shows(self, *texts: str) -> str:
        """Wait until the page shows all texts; everything that it shows then."""

        def seen(driver: webdriver.Chrome) -> str | None:
            shown: str = driver.execute_script("return document.body.innerText")
            return shown if all(text in shown for text in texts) else None

        return WebDriverWait(self.driver, SECONDS).until(seen, f"the page does not show {texts}")  # type: ignore[return-value]

    def click(self, text: str, place: int = 0, tag: str = "*") -> None:
        """Click what shows exactly this text, the ``place``-th of them."""

        def found(driver: webdriver.Chrome) -> WebElement | None:
            elements = driver.find_elements(
                By.XPATH, f"//{tag}[normalize-space(.)='{text}'][not(*[normalize-space(.)='{text}'])]"
            )
            visible = [element for element in elements if element.is_displayed()]
            return visible[place] if len(visible) > place or (place < 0 and visible) else None

        element = WebDriverWait(self.driver, SECONDS).until(found, f"there is no '{text}' to click")
        self.driver.execute_script("arguments[0].click()", element)

    def press(self, beginning: str) -> None:
        """Press the button whose words begin so, as soon as it can be pressed."""
        where = (By.XPATH, f"//button[starts-with(normalize-space(.), '{beginning}')]")
        WebDriverWait(self.driver, SECONDS).until(element_to_be_clickable(where)).click()

    def write(self, placeholder: str, text: str) -> None:
        """Write into the field that shows this text while it is empty."""
        where = (By.CSS_SELECTOR, f"input[placeholder^='{placeholder}']")
        WebDriverWait(self.driver, SECONDS).until(visibility_of_element_located(where)).send_keys(text)

    def hide_navigation(self) -> None:
        """More room for what is looked at; remembered by the UI."""
        self.open("/assets", "Hide navigation")
        self.click("Hide navigation")

    def picture(self, name: str, box: tuple[int, int, int, int] | None = None) -> Path:
        """``box``: left, upper, right and lower edge of the part that is meant."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{name}.png"
        assert self.driver.save_screenshot(str(path))
        if box is not None:
            with Image.open(path) as whole:
                part = whole.crop(box)
            part.save(path)
        return path

    # The ways ------------------------------------------------------------------------------------

    def lineage(self, source: str, *texts: str) -> None:
        self.open(f"/locations/__repository__@pipeline/asset-groups/{source}/lineage", "threshold_report", *texts)

    def asset(self, source: str, asset: str, *texts: str, partition: str | None = None) -> None:
        view = f"?view=partitions&partition={partition}" if partition else "?view=overview"
        self.open(f"/assets/{source}/{asset}{view}", asset, *texts)

    def check(self, source: str, check: str, partition: str, *texts: str) -> None:
        """What a check of raw_snapshot says of one hour."""
        self.open(f"/assets/{source}/raw_snapshot?view=checks&checkDetail={check}", "This is a blocking asset check.")
        self.click("Partitions", -1)
        self.shows("Partitions Selected")
        self.write("Filter by partition", partition)
        self.click(partition, -1)  # the time axis above the list ends with the name of an hour too
        self.shows("Description", *texts)

    def materialize_latest(self, source: str) -> None:
        """Press the button of a source's lineage, choose its latest hour, launch."""
        self.lineage(source, "Materialize all…")
        self.click("Materialize all…")
        self.shows("Partition selection")
        self.click("Latest")
        self.shows("1 partition")
        self.press("Launch")

    def image(self, alternative: str) -> None:
        """Wait until an image with these words for it is drawn."""
        drawn = "return [...document.images].some((i) => i.alt === arguments[0] && i.complete && i.naturalWidth > 0)"
        WebDriverWait(self.driver, SECONDS).until(
            lambda driver: driver.execute_script(drawn, alternative), f"no picture of {alternative} is drawn"
        )
