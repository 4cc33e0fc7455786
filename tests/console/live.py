"""What the console shows as it happens: traffic, a failure, an instance that leaves, and what it says
when there is nothing to show.
"""

import http.client
import re
import signal
import threading
import urllib.error
import urllib.request

from backends import Backend
from console import NAME
from stage import INSTANCES

LIVE = "Live, a new number each second"

# The most that may watch at once.
WATCHERS_MAX = 16

# Seconds for which cookies hold: longer than all of this takes.
PERIOD = 3600


class Crowd:
    """Clients with a session each who come back again and again. Use it by `with`."""

    def __init__(self, console, sessions=20, pause=0.02):
        self.console, self.sessions, self.pause = console, sessions, pause
        self.enough = threading.Event()
        self.thread = threading.Thread(target=self.visit, daemon=True)

    def __enter__(self):
        console = self.console
        policy = f"&PolicyName=crowd&CookieExpirationPeriod={PERIOD}"
        console.act(f"CreateLBCookieStickinessPolicy{policy}")
        port = f"&LoadBalancerPort={console.port}&PolicyNames.member.1=crowd"
        console.act(f"SetLoadBalancerPoliciesOfListener{port}")
        self.thread.start()

    def __exit__(self, *_):
        self.enough.set()
        self.thread.join()

    def visit(self):
        cookies = self.sessions * [None]
        number = 0
        while not self.enough.wait(self.pause):
            number = (number + 1) % self.sessions
            connection = http.client.HTTPConnection(self.console.address, self.console.port, 10)
            fields = {"Cookie": cookies[number]} if cookies[number] else {}
            connection.request("GET", "/", headers=fields)
            answer = connection.getresponse()
            sent = answer.getheader("Set-Cookie")
            if sent:
                cookies[number] = sent.partition(";")[0]
            connection.close()


class Watchers:
    """As many others as may watch. Use it by `with`."""

    def __init__(self, console):
        self.console, self.streams = console, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for stream in self.streams:
            stream.close()

    def wait(self):
        """Until all of them do, as the console does not."""
        self.console.browser.wait(self.are_all_there, "waited for the console to watch no more")

    def are_all_there(self):
        try:
            self.streams.append(urllib.request.urlopen(f"{self.console.stage.url}/v1/live"))
        except urllib.error.HTTPError as refusal:
            assert refusal.code == 503
        return len(self.streams) == WATCHERS_MAX


def number(text):
    """The first number of a text; 0 if it has none."""
    found = re.search(r"\d[\d,]*\.?\d*", text)
    return float(found[0].replace(",", "")) if found else 0


def monitor(console):
    console.open()
    console.browser.follow("Monitoring")
    console.browser.expect(LIVE)


def shows_traffic(console):
    """Numbers move: in the list, in charts, which say so in words, and in tables."""
    browser = console.browser
    browser.open("about:blank")
    browser.open(f"{console.stage.url}/console/")

    def is_listed():
        return [row for row in browser.rows("Load balancers") if number(row[4]) > 0]

    browser.wait(is_listed, "waited for requests in the list")
    monitor(console)
    for told in ["Requests per second .*: requests [1-9]", "Latency .* p99 [0-9.,]+ ms"]:
        browser.wait(lambda told=told: browser.pictured(told), f"waited for {told}")

    def has_sessions_everywhere():
        sessions = {row[0]: number(row[2]) for row in browser.rows("Instances now")}
        return all(sessions.get(name, 0) > 0 for name in INSTANCES[:2])

    browser.wait(has_sessions_everywhere, "waited for sessions of each instance")
    browser.wait(
        lambda: "valid" in [row[0] for row in browser.rows("Stickiness of requests")],
        "waited for a verdict",
    )
    browser.expect("No session has moved in the last ten minutes.")
    browser.press("Pause")
    browser.expect("Paused")
    browser.press("Go on")
    browser.expect(LIVE)


def shards(console):
    browser = console.browser
    browser.follow("Shards")
    browser.expect_current("Shards")
    browser.expect("Shard 0")
    status = console.v1("status")
    rows = browser.rows("Shards")
    assert len(rows) == len(status["cores"]), rows
    assert all(row[2].endswith("%") for row in rows), rows
    browser.expect(status["driver"])
    browser.wait(
        lambda: sum(number(row[4]) for row in browser.rows("Shards")) > 0, "waited for sessions"
    )


def fails(console):
    """One instance dies: the flow says whose sessions went where, as a picture and as a table."""
    browser, stage = console.browser, console.stage
    lost, other = INSTANCES[:2]
    monitor(console)
    stage.backends[lost].end()

    def has_moved():
        rows = browser.rows("Sessions that moved")
        return [row for row in rows if row[:2] == [lost, other] and number(row[2]) > 0]

    browser.wait(has_moved, "waited for sessions to move")
    flow = rf"[1-9]\d* sessions moved: [1-9]\d* from {lost} to {other}"
    browser.wait(lambda: browser.pictured(flow), "waited for the flow")

    def is_shown_dead():
        return [row for row in browser.rows("Instances now") if "Out of service" in row[1]]

    browser.wait(is_shown_dead, "waited for the instance to be shown as dead")
    again = Backend(lost, stage.backends[lost].address, [stage.port], [], stage.certificate)
    stage.backends[lost] = again
    console.wait_in_service(lost, other)


def leaves_and_stays(console):
    """An instance waits for its sessions, is seen to do so, and is kept after all."""
    browser = console.browser
    leaving = INSTANCES[1]
    console.open()
    browser.follow("Instances")
    browser.press(f"Deregister {leaving}")
    browser.choose("Wait until its sessions have ended")
    browser.type("Deadline (seconds, optional)", "604801")
    browser.press("Deregister")
    assert "604800" in browser.problem_at("Deadline (seconds, optional)")
    browser.type("Deadline (seconds, optional)", "600")
    browser.press("Deregister")
    browser.expect_no_dialog()
    browser.expect("Waits for its sessions to end")
    [drain] = console.v1(f"drains?load_balancer={NAME}")
    assert 500 < drain["deadline_in_seconds"] <= 600, drain
    progress = browser.find("progress", f"{leaving}: {words_of(browser, leaving)}")
    assert progress.get_attribute("max") == "100"
    browser.press(f"Keep {leaving}")
    browser.press("Keep")
    browser.expect_no_dialog()

    def has_none():
        return "Waits for its sessions to end" not in browser.words()

    browser.wait(has_none, "waited for the drain to go")
    registered = console.act("DescribeLoadBalancers")
    assert leaving in registered, registered
    console.wait_in_service(*INSTANCES[:2])


def words_of(browser, leaving):
    """How many sessions an instance that leaves still has, in words."""

    def look():
        rows = browser.rows("Instances that leave")
        return [row[2] for row in rows if row[0] == leaving and "sessions left" in row[2]]

    return browser.wait(look, "waited for sessions left")[0]


def too_many(console):
    """A page without pictures does not watch, nor one that nobody sees. Whoever cannot watch is told
    why, and does once there is room."""
    browser = console.browser
    monitor(console)
    browser.follow("Tags")
    browser.expect_current("Tags")
    with Watchers(console) as watchers:
        watchers.wait()
        browser.follow("Shards")
        browser.expect("Not connected: 16 others watch already")
        browser.expect_error("503")
    browser.expect(LIVE)
    with browser.behind_another(), Watchers(console) as watchers:
        watchers.wait()
    browser.expect(LIVE)
    browser.note_errors()
    browser.errors = [error for error in browser.errors if "503" not in error]


def loses_elbow(console):
    """When elbow says nothing or has ended, the page says so, and goes on once there is more."""
    browser, elbow = console.browser, console.stage.elbow
    monitor(console)
    elbow.process.send_signal(signal.SIGSTOP)
    try:
        browser.expect("Not connected: elbow is silent.")
    finally:
        elbow.process.send_signal(signal.SIGCONT)
    browser.expect(LIVE)
    elbow.end()
    browser.expect("Not connected: elbow does not answer.")
    browser.expect_error("ERR_")
