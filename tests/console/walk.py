"""The steps of AWS's page on sticky sessions, clicked in elbow's own console by a browser that
knows nothing of either, and traffic afterwards, which must stick as the page says.

    walk.py PROGRAM DIRECTORY

PROGRAM is elbow; the directory gets a picture of each page in light and dark.
"""

import json
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

from axe_core_python.selenium import Axe
from browser import Browser
from stage import CERTIFICATE, INSTANCES, Stage, free_port

NAME = "my-loadbalancer"

TABS = [
    "Description",
    "Instances",
    "Health check",
    "Listeners",
    "Monitoring",
    "Attributes",
    "Tags",
]

BY_LOAD_BALANCER = "Enable load balancer generated cookie stickiness"
BY_APPLICATION = "Enable application generated cookie stickiness"


class Console:
    """The console in a browser, and a load balancer to look at, with listeners of three kinds."""

    def __init__(self, stage, browser):
        self.stage, self.browser = stage, browser
        self.port, self.https_port, tcp_port = free_port(), free_port(), free_port()
        listeners = [("HTTP", self.port), ("HTTPS", self.https_port), ("TCP", tcp_port)]
        members = ""
        for number, (protocol, port) in enumerate(listeners, 1):
            member = f"&Listeners.member.{number}"
            members += f"{member}.Protocol={protocol}{member}.LoadBalancerPort={port}"
            members += f"{member}.InstancePort={stage.port}"
            if protocol == "HTTPS":
                members += f"{member}.SSLCertificateId={CERTIFICATE}"
        made = self.act(f"CreateLoadBalancer&AvailabilityZones.member.1=us-east-1a{members}")
        self.address = made.partition("<DNSName>")[2].partition("<")[0]

    def act(self, action):
        """An action of the ELB API, beside the console."""
        form = f"Version=2012-06-01&LoadBalancerName={NAME}&Action={action}"
        with urllib.request.urlopen(self.stage.url, form.encode()) as answer:
            return answer.read().decode()

    def v1(self, path):
        with urllib.request.urlopen(f"{self.stage.url}/v1/{path}") as answer:
            return json.load(answer)

    def ask(self, path="/"):
        """Who answers a request to the load balancer, and the cookies that came with it."""
        with urllib.request.urlopen(self.url(path)) as answer:
            return answer.read().decode(), answer.headers.get_all("Set-Cookie", [])

    def url(self, path="/"):
        return f"http://{self.address}:{self.port}{path}"

    def homes(self, *options, login="/"):
        """Who answers curl ten times, after a first request for `login`."""
        targets = [self.url(login)] + 10 * [self.url()]
        command = ["curl", "--silent", "--write-out", "\\n", *options, *targets]
        answers = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return answers.split()

    def expect_sticky(self, login="/"):
        """That a client with cookies has one instance, and one without them has all."""
        with_cookies = self.homes("--cookie", "", login=login)
        assert len(with_cookies) == 11 and len(set(with_cookies)) == 1, with_cookies
        assert set(self.homes(login=login)) == set(INSTANCES[:2])

    def open(self):
        """From the address alone to the description of the load balancer, as the page says it."""
        self.browser.open(f"{self.stage.url}/console/")
        self.browser.follow("Load Balancers")
        self.browser.follow(NAME)
        self.browser.follow("Description")
        self.browser.expect("Port configuration")

    def edit(self, port=None):
        self.browser.press(f"Edit stickiness of port {port or self.port}")

    def save(self, then):
        self.browser.press("Save")
        self.browser.expect_no_dialog()
        self.browser.expect(then)


def without_load_balancers(stage, browser):
    browser.open(f"{stage.url}/console")
    browser.expect("There is no load balancer yet.")


def instances(console):
    """Register by id, be told what is wrong, see health with its reason, deregister."""
    browser = console.browser
    console.open()
    browser.follow("Instances")
    browser.expect("No instance is registered.")
    browser.press("Register an instance")
    browser.type("Instance", "i-00000000")
    browser.press("Register")
    assert "i-00000000" in browser.problem_at("Instance")
    browser.expect_error("400")
    for name in INSTANCES[:2]:
        browser.type("Instance", name)
        browser.press("Register")
        browser.expect_no_dialog()
        browser.expect(name)
        browser.press("Register an instance")
    browser.press("Cancel")
    browser.expect_no_dialog()
    assert browser.focused() == "Register an instance"
    browser.follow("Health check")
    browser.press("Edit health check")
    browser.type("Interval (seconds)", "4")
    browser.press("Save")
    assert "from 5 to 300" in browser.problem_at("Interval (seconds)")
    browser.type("Interval (seconds)", "5")
    browser.type("Response Timeout (seconds)", "5")
    browser.press("Save")
    assert "imeout" in browser.problem_at("Response Timeout (seconds)")
    browser.expect_error("400")
    browser.type("Response Timeout (seconds)", "2")
    browser.type("Healthy threshold", "2")
    browser.select("Ping Protocol", "HTTP")
    browser.type("Ping Path", "/ping")
    console.save(f"HTTP:{console.stage.port}/ping")
    browser.follow("Instances")

    def in_service():
        browser.press("Refresh")
        return browser.words().count("InService") == 2

    browser.wait(in_service, "waited for both instances")


def duration(console):
    """Duration-based stickiness: for 60 seconds, then for the browser session."""
    browser = console.browser
    console.open()
    browser.expect("Stickiness: Disabled")
    console.edit()
    browser.choose(BY_LOAD_BALANCER)
    browser.type("Expiration Period (seconds, optional)", "soon")
    browser.press("Save")
    assert "whole number" in browser.problem_at("Expiration Period (seconds, optional)")
    browser.type("Expiration Period (seconds, optional)", "60")
    console.save("expires after 60 seconds")
    assert browser.focused() == f"Edit stickiness of port {console.port}"
    _, [cookie] = console.ask()
    assert cookie.startswith("AWSELB=") and "MAX-AGE=60" in cookie, cookie
    console.expect_sticky()

    console.edit()
    browser.type("Expiration Period (seconds, optional)", "")
    console.save("until the browser session ends")
    _, [cookie] = console.ask()
    assert cookie.startswith("AWSELB=") and "MAX-AGE" not in cookie, cookie
    console.expect_sticky()
    described = console.act("DescribeLoadBalancers")
    assert described.count("<PolicyName>") == 1, described


def application(console):
    """Application-controlled stickiness, then none."""
    browser = console.browser
    console.open()
    console.edit()
    browser.choose(BY_APPLICATION)
    browser.press("Save")
    assert "Enter the name" in browser.problem_at("Cookie Name")
    browser.type("Cookie Name", "my-app-cookie")
    console.save("Application generated cookie my-app-cookie")
    assert console.ask()[1] == [], "nothing sticks before the application says so"
    _, cookies = console.ask("/login")
    assert any(cookie.startswith("AWSELB=") for cookie in cookies), cookies
    console.expect_sticky(login="/login")

    console.edit()
    browser.press("Cancel")
    browser.expect("Application generated cookie my-app-cookie")
    console.edit()
    browser.choose("Disable stickiness")
    console.save("Stickiness: Disabled")
    assert console.ask("/login")[1] == ["my-app-cookie=somebody; Max-Age=30; Path=/"]


def by_keyboard(console):
    """Stickiness is enabled without a pointer."""
    browser = console.browser
    console.open()
    button = browser.find("button", f"Edit stickiness of port {console.port}")
    browser.driver.execute_script("arguments[0].focus()", button)
    browser.keys("ENTER")
    browser.find("input[type=radio]", "Disable stickiness")
    assert browser.focused() == "Disable stickiness", browser.focused()
    browser.keys("ARROW_DOWN")
    assert browser.focused() == BY_LOAD_BALANCER, browser.focused()
    browser.keys("ENTER")
    browser.expect_no_dialog()
    browser.expect("until the browser session ends")
    browser.keys("ENTER")
    browser.find("button", "Cancel")
    browser.keys("ESCAPE")
    browser.expect_no_dialog()
    assert browser.focused() == f"Edit stickiness of port {console.port}"


def attributes_and_tags(console):
    browser = console.browser
    console.open()
    browser.follow("Attributes")
    browser.press("Edit attributes")
    browser.type("Idle timeout (seconds)", "120")
    browser.choose("Enable connection draining")
    browser.type("Draining timeout (seconds)", "20")
    browser.select("Desync mitigation mode", "strictest")
    console.save("Enabled, 20 seconds")
    browser.expect("120 seconds")
    attributes = console.act("DescribeLoadBalancerAttributes")
    for part in ["<IdleTimeout>120<", "<Timeout>20<", "<Value>strictest<"]:
        assert part in attributes, attributes

    browser.follow("Tags")
    browser.press("Add tag")
    browser.type("Key", "<b>team</b>")
    browser.press("Add")
    browser.problem_at("Key")
    browser.expect_error("400")
    browser.type("Key", "team")
    browser.type("Value", "shop")
    browser.press("Add")
    browser.expect_no_dialog()
    browser.press("Remove team")
    browser.press("Remove")
    browser.expect_no_dialog()
    browser.expect("It has no tags.")


def keeps_other_policies(console):
    """What others enabled at the listener since the page was drawn stays."""
    browser = console.browser
    console.open()
    console.act("CreateLBCookieStickinessPolicy&PolicyName=by-others&CookieExpirationPeriod=7")
    port = f"&LoadBalancerPort={console.port}"
    console.act(f"SetLoadBalancerPoliciesOfListener{port}&PolicyNames.member.1=by-others")
    console.edit()
    browser.choose(BY_LOAD_BALANCER)
    browser.type("Expiration Period (seconds, optional)", "8")
    console.save("expires after 8 seconds")
    described = console.act("DescribeLoadBalancers")
    assert "<PolicyName>by-others<" in described, "only policies of the console are deleted"
    assert console.ask()[1][0].endswith("MAX-AGE=8"), console.ask()

    # The one with TLS has a policy from the start.
    console.edit(console.https_port)
    browser.choose(BY_APPLICATION)
    browser.type("Cookie Name", "my-app-cookie")
    console.save("Application generated cookie my-app-cookie")
    [listener] = [
        listener
        for listener in console.act("DescribeLoadBalancers").split("<PolicyNames>")
        if f"<LoadBalancerPort>{console.https_port}<" in listener
    ]
    members = listener.partition("</PolicyNames>")[0]
    assert "Console-AppCookieStickinessPolicy-" in members, members
    assert "ELBSecurityPolicy-2016-08" in members, members


def listeners(console):
    """One that cannot be is refused at its field; one that can serves until it is deleted."""
    browser = console.browser
    console.open()
    browser.follow("Listeners")
    browser.press("Add listener")
    browser.type("Load Balancer Port", str(console.port))
    browser.type("Instance Port", "1")
    browser.press("Add")
    assert "already exists" in browser.problem_at("Load Balancer Port")
    browser.expect_error("400")
    port = free_port()
    browser.type("Load Balancer Port", str(port))
    browser.type("Instance Port", str(console.stage.port))
    browser.select("Load Balancer Protocol", "HTTPS")
    browser.press("Add")
    assert "ARN" in browser.problem_at("SSL Certificate")
    browser.select("Load Balancer Protocol", "TCP")
    browser.press("Add")
    browser.expect_no_dialog()
    browser.expect(f"TCP {port}")
    with socket.create_connection((console.address, port)):
        pass
    browser.press(f"Delete the listener at port {port}")
    browser.press("Delete")
    browser.expect_no_dialog()
    assert f"<LoadBalancerPort>{port}<" not in console.act("DescribeLoadBalancers")


def deregister(console):
    browser = console.browser
    console.open()
    browser.follow("Instances")
    browser.press(f"Deregister {INSTANCES[0]}")
    browser.press("Deregister")
    browser.expect_no_dialog()
    registered = console.act("DescribeLoadBalancers")
    assert INSTANCES[0] not in registered and INSTANCES[1] in registered, registered


def looks(console, directory):
    """A picture of each page; none has what axe finds wrong for people with disabilities."""
    browser = console.browser
    for scheme in ["light", "dark"]:
        for size, (width, height) in {"wide": (1280, 900), "phone": (390, 844)}.items():
            browser.in_colours(scheme)
            browser.in_size(width, height)
            browser.open(f"{console.stage.url}/console/#/load-balancers")
            shown(browser, "Load Balancers", directory / f"list-{scheme}-{size}.png")
            browser.follow(NAME)
            for tab in TABS:
                browser.follow(tab)
                browser.expect_current(tab)
                shown(browser, NAME, directory / f"{tab}-{scheme}-{size}.png")
            browser.follow("Description")
            console.edit()
            browser.find("button", "Save")
            accessible(browser)
            browser.picture(directory / f"Edit stickiness-{scheme}-{size}.png")
            browser.press("Cancel")
            browser.expect_no_dialog()


def shown(browser, title, file):
    browser.find("h1", title)
    accessible(browser)
    width = browser.driver.execute_script(
        "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert width <= 0, f"{file.name} is {width} pixels wider than the screen"
    browser.picture(file)


def accessible(browser):
    violations = Axe().run(browser.driver)["violations"]
    assert not violations, json.dumps(violations, indent=1)


def main():
    program, directory = sys.argv[1], Path(sys.argv[2])
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    with Stage(program, ports=[port]) as stage, Browser() as browser:
        stage.port = port
        without_load_balancers(stage, browser)
        console = Console(stage, browser)
        for walk in [
            instances,
            duration,
            application,
            by_keyboard,
            attributes_and_tags,
            keeps_other_policies,
            listeners,
        ]:
            walk(console)
            print(f"ok {walk.__name__}", flush=True)
        looks(console, directory)
        deregister(console)
        print(f"ok looks, deregister; the pictures are in {directory}")


if __name__ == "__main__":
    main()
