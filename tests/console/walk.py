"""The steps of AWS's page on sticky sessions, clicked in elbow's own console by a browser that
knows nothing of either, and traffic afterwards, which must stick as the page says.

    walk.py PROGRAM DIRECTORY

PROGRAM is elbow; the directory gets a picture of each page in light and dark.
"""

import socket
import sys
from pathlib import Path

from browser import Browser
from console import Console
from live import Crowd, fails, leaves_and_stays, loses_elbow, shards, shows_traffic, too_many
from looks import looks
from making import creates_and_deletes
from explaining import explains
from stage import INSTANCES, Stage, free_port

BY_LOAD_BALANCER = "Enable load balancer generated cookie stickiness"
BY_APPLICATION = "Enable application generated cookie stickiness"


def without_load_balancers(stage, browser):
    browser.open(f"{stage.url}/console")
    browser.expect("There is no load balancer yet.")
    assert "Cluster" not in browser.words(), "there is none to lead to"


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
            creates_and_deletes,
            explains,
        ]:
            walk(console)
            print(f"ok {walk.__name__}", flush=True)
        with Crowd(console):
            for walk in [shows_traffic, shards, fails, leaves_and_stays, too_many]:
                walk(console)
                print(f"ok {walk.__name__}", flush=True)
            looks(console, directory)
        deregister(console)
        loses_elbow(console)
        print(f"ok looks, deregister, loses_elbow; the pictures are in {directory}")


if __name__ == "__main__":
    main()
