"""The clients of a stage: `aws elb` as a process of its own, boto3, and browsers of a kind."""

import contextlib
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from http.cookies import SimpleCookie
from pathlib import Path

import boto3
from botocore.config import Config

# Beside the interpreter of the virtual environment.
AWS = Path(sys.executable).parent / "aws"

# What boto3 knows of services is read once.
SESSION = boto3.session.Session()

# Seconds that a command or a request may take, on a machine that does much else.
PATIENCE = 60


class Broken(Exception):
    """A promise was not kept."""


def expect(what, came, expected):
    if came != expected:
        raise Broken(f"{what}\n  came      {came!r}\n  expected  {expected!r}")


def within(seconds, what, ask, expected):
    """Asks again until what is expected comes, for what may take its time."""
    end = time.monotonic() + seconds
    while (came := ask()) != expected:
        if time.monotonic() > end:
            expect(f"{what}, after {seconds} s", came, expected)
        time.sleep(0.05)


class Aws:
    """`aws elb`, as somebody without a configuration runs it."""

    def __init__(self, stage, region="us-west-2"):
        self.stage = stage
        kept = {key: text for key, text in os.environ.items() if key in ("PATH", "LANG", "LC_ALL")}
        self.environment = kept | {
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": region,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
            "HOME": str(stage.directory),
        }

    def run(self, words):
        """Runs `aws elb` with these words: its exit status, what it printed, what it complained."""
        done = subprocess.run(
            [AWS, "elb", *words, "--endpoint-url", self.stage.url],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        return done.returncode, done.stdout, done.stderr.strip()

    def silent(self, words):
        """One that succeeds and prints nothing."""
        expect(f"aws elb {words}", self.run(words.split()), (0, "", ""))

    def json(self, words):
        """One that succeeds and prints JSON."""
        status, printed, complaint = self.run(words.split())
        expect(f"aws elb {words}", (status, complaint), (0, ""))
        return json.loads(printed)


def boto(stage, region="us-east-1", service="elb"):
    """A client that asks once and does not judge what it is told to ask."""
    config = Config(
        parameter_validation=False,
        retries={"total_max_attempts": 1},
        connect_timeout=PATIENCE,
        read_timeout=PATIENCE,
        proxies={},
    )
    return SESSION.client(
        service,
        region_name=region,
        endpoint_url=stage.url,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        config=config,
    )


class Browser:
    """A client with a connection that it keeps and cookies that it sends back when told to. Over
    TLS it takes the certificate of the stage and no other."""

    def __init__(self, host, port, certificate=None):
        if certificate:
            tls = ssl.create_default_context(cafile=certificate)
            tls.check_hostname = False
            self.connection = http.client.HTTPSConnection(host, port, timeout=10, context=tls)
        else:
            self.connection = http.client.HTTPConnection(host, port, timeout=10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def get(self, path="/", cookies=None):
        """The status, the body and the cookies that were set, by name."""
        fields = {}
        if cookies:
            fields["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        self.connection.request("GET", path, headers=fields)
        response = self.connection.getresponse()
        body = response.read().decode()
        jar = SimpleCookie()
        for text in response.headers.get_all("Set-Cookie", []):
            jar.load(text)
        return response.status, body, jar


def get(host, port, path="/", certificate=None, cookies=None):
    """One request over a connection of its own."""
    with Browser(host, port, certificate) as browser:
        return browser.get(path, cookies)


def answers(host, port, certificate=None, requests=12):
    """Who answers requests without cookies, each over a connection of its own; the status instead
    where it is not 200."""
    who = set()
    for _ in range(requests):
        status, body, _ = get(host, port, certificate=certificate)
        who.add(body if status == 200 else status)
    return who


def is_open(host, port):
    """Whether somebody accepts connections there."""
    # One that is being closed may reset what it has accepted.
    with contextlib.suppress(ConnectionError):
        socket.create_connection((host, port), timeout=10).close()
        return True
    return False
