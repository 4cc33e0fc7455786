"""A headless Chromium, used as somebody uses it who sees a page: by the words on it.

Nothing here knows the console. What is looked for may take a while to appear; a page that reports
an error of a script, or something that its Content-Security-Policy forbids, fails at `end`.
"""

import base64
import contextlib
import re
import shutil

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

# Seconds for which a page may take to show something, on a machine that does much else.
PATIENCE = 30

# Without what needs a screen, more rights or room than a container has, or the world outside.
FLAGS = [
    "--headless=new",
    "--disable-gpu",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--window-size=1280,900",
]


class Browser:
    """Use it by `with`."""

    def __init__(self):
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for flag in FLAGS:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        # Named, so that nothing is looked for elsewhere.
        service = webdriver.ChromeService(shutil.which("chromedriver"))
        self.driver = webdriver.Chrome(options, service)
        # In pictures of a whole page there is nothing to scroll.
        self.driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
        self.errors = []

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind:
                print("the page, at the end:", self.driver.current_url, self.words(), sep="\n")
            self.note_errors()
        finally:
            self.driver.quit()
        if not kind:
            assert not self.errors, self.errors

    def note_errors(self):
        self.errors += [
            entry["message"]
            for entry in self.driver.get_log("browser")
            if entry["level"] == "SEVERE"
        ]

    def expect_error(self, words):
        """That the browser itself noted a failure, such as an answer of 400, and only those."""
        self.note_errors()
        assert self.errors, f"nothing was noted; {words} was to be"
        others = [error for error in self.errors if words not in error]
        assert not others, others
        self.errors = []

    def open(self, url):
        self.driver.get(url)

    def words(self):
        return self.driver.find_element(By.TAG_NAME, "body").text

    def wait(self, condition, what):
        """Until `condition` gives something true. Elements may go while it looks at them."""
        waiting = WebDriverWait(
            self.driver, PATIENCE, 0.05, ignored_exceptions=[StaleElementReferenceException]
        )
        return waiting.until(lambda _: condition(), f"{what}, in vain")

    def find(self, tags, name):
        """The one visible element of these kinds that is called so, as assistive technology has it;
        in a dialog where there is one, as the rest cannot be used then."""

        def look():
            dialogs = self.driver.find_elements(By.CSS_SELECTOR, "dialog[open]")
            scope = dialogs[0] if dialogs else self.driver
            found = scope.find_elements(By.CSS_SELECTOR, tags)
            named = [e for e in found if e.is_displayed() and e.accessible_name == name]
            return len(named) == 1 and named[0]

        return self.wait(look, f"looked for one {tags} called {name!r}")

    def follow(self, name):
        self.find("a", name).click()

    def press(self, name):
        self.find("button", name).click()

    def choose(self, name):
        self.find("input[type=radio], input[type=checkbox]", name).click()

    def select(self, name, option):
        self.find("select", name).send_keys(option)

    def type(self, name, text):
        field = self.find("input, textarea", name)
        field.clear()
        field.send_keys(text)

    def problem_at(self, name):
        """What is said to be wrong at a field, once something is."""
        field = self.find("input, textarea", name)
        ids = field.get_attribute("aria-describedby").split()
        error = self.driver.find_element(By.ID, ids[-1])
        self.wait(lambda: error.text, f"waited for what is wrong with {name!r}")
        assert field.get_attribute("aria-invalid") == "true"
        assert self.driver.switch_to.active_element == field, "the focus goes to what is wrong"
        return error.text

    def expect(self, words):
        self.wait(lambda: words in self.words(), f"looked for {words!r}")

    def expect_current(self, name):
        """That the link of this name leads to what is shown."""

        def is_current():
            return self.find("a", name).get_attribute("aria-current") == "page"

        self.wait(is_current, f"waited for {name!r} to be shown")

    def expect_no_dialog(self):
        def gone():
            return not self.driver.find_elements(By.TAG_NAME, "dialog")

        self.wait(gone, "waited for the dialog to close")

    def focused(self):
        """How that is called which has the focus."""
        return self.driver.switch_to.active_element.accessible_name

    def keys(self, *keys):
        for key in keys:
            self.driver.switch_to.active_element.send_keys(getattr(Keys, key))

    @contextlib.contextmanager
    def behind_another(self):
        """While it lasts nobody sees the page."""
        page = self.driver.current_window_handle
        self.driver.switch_to.new_window("tab")
        yield
        self.driver.close()
        self.driver.switch_to.window(page)

    def in_colours(self, scheme):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def in_size(self, width, height):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def picture(self, file, whole=False):
        """What is on the screen, or all of the page."""
        options = {"captureBeyondViewport": whole}
        taken = self.driver.execute_cdp_cmd("Page.captureScreenshot", options)
        file.write_bytes(base64.b64decode(taken["data"]))

    def rows(self, caption):
        """The cells of each row of the table with that caption, as they read now."""
        return self.driver.execute_script(
            """
            const isIt = (table) => table.caption?.textContent === arguments[0];
            const table = [...document.querySelectorAll("table")].find(isIt);
            return [...(table?.tBodies[0].rows ?? [])].map((row) =>
                [...row.cells].map((cell) => cell.innerText.trim()));
            """,
            caption,
        )

    def pictured(self, pattern):
        """What is told of the pictures in words, where it is like the pattern; or nothing."""
        pictures = self.driver.find_elements(By.CSS_SELECTOR, "[role=img]")
        names = [picture.accessible_name for picture in pictures if picture.is_displayed()]
        return next(filter(None, (re.search(pattern, name) for name in names)), None)
