"""A picture of each page of the console, in light and dark, on a wide screen and on a phone; none has
what axe finds wrong for people with disabilities, and none is wider than the screen.
"""

import json

from axe_core_python.selenium import Axe
from console import NAME
from stage import INSTANCES

TABS = [
    "Description",
    "Instances",
    "Health check",
    "Listeners",
    "Monitoring",
    "Explain",
    "Attributes",
    "Tags",
]

# What of them follows the stream.
LIVE = ["Instances", "Monitoring"]


def looks(console, directory):
    browser = console.browser
    for scheme in ["light", "dark"]:
        for size, (width, height) in {"wide": (1280, 900), "phone": (390, 844)}.items():
            browser.in_colours(scheme)
            browser.in_size(width, height)

            def file(name, kind=f"{scheme}-{size}"):
                return directory / f"{name}-{kind}.png"

            browser.open(f"{console.stage.url}/console/#/load-balancers")
            browser.expect("requests/s")
            shown(browser, "Load Balancers", file("list"))
            dialog(browser, "Create load balancer", "Create", file("Create"))
            browser.follow("Shards")
            browser.expect("Shard 0")
            shown(browser, "Shards", file("Shards"))
            browser.follow("Load Balancers")
            browser.follow(NAME)
            for tab in TABS:
                browser.follow(tab)
                browser.expect_current(tab)
                if tab in LIVE:
                    browser.expect("Live, a new number each second")
                if tab == "Explain":
                    explained(console)
                shown(browser, NAME, file(tab))
            dialog(browser, "Delete load balancer", "Delete", file("Delete"))
            browser.follow("Instances")
            dialog(browser, f"Deregister {INSTANCES[1]}", "Deregister", file("Deregister"))
            browser.follow("Description")
            dialog(browser, f"Edit stickiness of port {console.port}", "Save", file("Stickiness"))


def explained(console):
    """Some answer to look at."""
    browser = console.browser
    browser.type("Cookie", console.cookie())
    browser.press("Explain")
    browser.expect("Where it would go, best first")


def dialog(browser, opener, action, file):
    browser.press(opener)
    browser.find("button", action)
    accessible(browser)
    browser.picture(file)
    browser.press("Cancel")
    browser.expect_no_dialog()


def shown(browser, title, file):
    browser.find("h1", title)
    accessible(browser)
    width = browser.driver.execute_script(
        "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert width <= 0, f"{file.name} is {width} pixels wider than the screen"
    browser.picture(file, whole=True)


def accessible(browser):
    violations = Axe().run(browser.driver)["violations"]
    assert not violations, json.dumps(violations, indent=1)
