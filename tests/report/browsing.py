"""A browser for tests: opens files, presses keys, and tells what was asked for and what went wrong."""

import json

from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

SWITCHES = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--window-size=1280,1000"),
)


class Browser:
    """Chromium with a profile of its own."""

    def __init__(self, binary, driver, profile):
        options = webdriver.ChromeOptions()
        options.binary_location = binary
        for switch in (*SWITCHES, f"--user-data-dir={profile}"):
            options.add_argument(switch)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        options.set_capability("unhandledPromptBehavior", "ignore")  # an alert of a page fails whatever comes next
        self.driver = webdriver.Chrome(options=options, service=Service(driver))
        self._page = ""

    def reset(self):
        self.driver.get("about:blank")
        self.prefer("light")
        for log in ("browser", "performance"):
            self.driver.get_log(log)

    def prefer(self, scheme):
        """As a person's system prefers pages: `light` or `dark`."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def open(self, path):
        self._page = path.as_uri()
        self.driver.get(self._page)

    def press(self, *keys):
        ActionChains(self.driver).send_keys(*keys).perform()

    def click(self, selector):
        self.all(selector)[0].click()

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector):
        """Of what is seen."""
        return [one.text for one in self.all(selector) if one.is_displayed()]

    def run(self, script):
        return self.driver.execute_script(script)

    def complaints(self):
        """What stands on the console."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self):
        """What was asked for since the page was opened, beside the page, what it holds itself, and what its policy
        stopped."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [one["params"] for one in messages if one["method"] == "Network.requestWillBeSent"]
        failed = [one["params"] for one in messages if one["method"] == "Network.loadingFailed"]
        stopped = {one["requestId"] for one in failed if one.get("blockedReason") == "csp"}
        asked = [one for one in asked if one["requestId"] not in stopped and one["documentURL"] == self._page]
        urls = [one["request"]["url"] for one in asked]
        return [url for url in urls if url != self._page and not url.startswith("data:")]

    def close(self):
        self.driver.quit()
