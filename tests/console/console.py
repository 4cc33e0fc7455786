"""elbow's console as somebody has it before them, and what they can check beside it: the ELB API, /v1
and requests to a load balancer of their own.
"""

import json
import subprocess
import urllib.request

from stage import CERTIFICATE, INSTANCES, free_port

NAME = "my-loadbalancer"


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

    def cookie(self):
        """The stickiness cookie of a new session, by name and value."""
        _, [line] = self.ask()
        return line.partition(";")[0]

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

    def wait_in_service(self, *names):
        """Until these instances take requests."""

        def are_in_service():
            rows = self.v1(f"backends?load_balancer={NAME}")
            return {row["backend"] for row in rows if row["state"] == "InService"} >= set(names)

        self.browser.wait(are_in_service, f"waited for {names} to be in service")
