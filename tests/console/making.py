"""A load balancer is made and deleted by the console."""

import socket

from console import NAME
from stage import free_port

MADE = "made-here"


def creates_and_deletes(console):
    """What is wrong is said at its field; what is made serves until it is deleted."""
    browser = console.browser
    port = free_port()
    browser.open("about:blank")
    browser.open(f"{console.stage.url}/console/")
    browser.press("Create load balancer")
    browser.type("Load Balancer name", "-no-")
    browser.press("Create")
    assert "hyphen" in browser.problem_at("Load Balancer name")
    browser.type("Load Balancer name", NAME)
    browser.type("Load Balancer Port", str(port))
    browser.press("Create")
    assert "already exists" in browser.problem_at("Load Balancer name")
    browser.expect_error("400")
    browser.type("Load Balancer name", MADE)
    browser.select("Load Balancer Protocol", "HTTPS")
    browser.type("SSL Certificate", "arn:aws:iam::1:server-certificate/nobodys")
    browser.press("Create")
    assert "nobodys" in browser.problem_at("SSL Certificate")
    browser.expect_error("400")
    browser.select("Load Balancer Protocol", "TCP")
    browser.press("Create")
    browser.expect_no_dialog()
    browser.expect(MADE)
    assert browser.focused() == "Create load balancer", browser.focused()
    [address] = [row[1] for row in browser.rows("Load balancers") if row[0] == MADE]
    with socket.create_connection((address, port)):
        pass

    browser.follow(MADE)
    browser.press("Delete load balancer")
    browser.expect(f"{port} (TCP) → 80 (TCP) closes")
    browser.press("Delete")
    browser.expect_no_dialog()
    browser.find("h1", "Load Balancers")
    browser.expect(f"{MADE} is deleted.")
    assert MADE not in [row[0] for row in browser.rows("Load balancers")]
    try:
        socket.create_connection((address, port)).close()
    except ConnectionRefusedError:
        return
    raise AssertionError("what is deleted still takes connections")
