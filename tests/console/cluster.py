"""The console's page on the nodes of a cluster: two of them, an instance about which they are not of
one mind, and what is told once one is gone.

    cluster.py PROGRAM DIRECTORY

PROGRAM is elbow; the directory gets a picture of the page in light and dark.
"""

import socket
import sys
from pathlib import Path

from browser import Browser
from looks import shown
from stage import Stage, free_port

ADDRESS = "127.0.0.1"


class Node(Stage):
    """A node, where checks of the instance go to a port of its own."""

    def __init__(self, program, name, ports, checked):
        self.name, self.ports, self.checked = name, ports, checked
        super().__init__(program, instances=0)

    def configuration(self, pool, arns):
        secret = self.directory / "secret"
        secret.write_text("what both nodes know, and nobody else\n")
        secret.chmod(0o600)
        seeds = ", ".join(f'"{ADDRESS}:{port}"' for port in self.ports.values())
        text = super().configuration(pool, arns)
        text += f'[cluster]\nlisten = "{ADDRESS}:{self.ports[self.name]}"\n'
        text += f'node = "{self.name}"\nseeds = [{seeds}]\nsecret_file = "{secret}"\n'
        text += f'[[load_balancer]]\nname = "web"\ninstances = ["{ADDRESS}"]\n'
        text += f'[[load_balancer.listener]]\nprotocol = "HTTP"\nport = {free_port()}\n'
        text += "instance_port = 1\n[load_balancer.health_check]\n"
        text += f'target = "TCP:{self.checked}"\ninterval = 5\ntimeout = 2\n'
        return text + "healthy_threshold = 2\nunhealthy_threshold = 2\n"


def by_keyboard(browser):
    """The page is reached without a pointer, and the focus goes to where it begins."""
    link = browser.find("a", "Cluster")
    browser.driver.execute_script("arguments[0].focus()", link)
    browser.keys("ENTER")
    browser.expect_current("Cluster")
    browser.wait(lambda: browser.focused() == "Cluster", "waited for the focus")


def at_one(browser):
    def is_ready():
        rows = {row[0]: row for row in browser.rows("Nodes")}
        both = [rows.get("one (this one)"), rows.get("two")]
        return all(row and "Ready" in row[2] for row in both)

    browser.wait(is_ready, "waited for both nodes")
    browser.expect("2 of 2 nodes live: ✓ enough to decide for all")
    browser.expect("All changes of other nodes are in force on this one.")
    browser.expect("No change of this node was replaced.")


def of_two_minds(browser):
    def is_disputed():
        rows = browser.rows("Disputes")
        return [row for row in rows if row[:2] == [ADDRESS, "web"] and row[3:] == ["one", "two"]]

    browser.wait(is_disputed, "waited for the dispute")


def pictures(browser, directory):
    for scheme in ["light", "dark"]:
        for size, (width, height) in {"wide": (1280, 900), "phone": (390, 844)}.items():
            browser.in_colours(scheme)
            browser.in_size(width, height)
            shown(browser, "Cluster", directory / f"Cluster-{scheme}-{size}.png")


def main():
    program, directory = sys.argv[1], Path(sys.argv[2])
    directory.mkdir(parents=True, exist_ok=True)
    ports = {"one": free_port(), "two": free_port()}
    with (
        socket.create_server((ADDRESS, 0)) as well,
        Node(program, "one", ports, well.getsockname()[1]) as one,
        Node(program, "two", ports, free_port()) as two,
        Browser() as browser,
    ):
        browser.open(f"{one.url}/console/")
        by_keyboard(browser)
        at_one(browser)
        of_two_minds(browser)
        pictures(browser, directory)
        two.elbow.kill()
        browser.expect("1 of 2 nodes live: ✕ too few to declare an instance dead for all")
        browser.expect("✕ Lost for ")
    print(f"ok cluster; the pictures are in {directory}")


if __name__ == "__main__":
    main()
