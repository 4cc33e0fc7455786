"""The two walk-throughs of the AWS page on sticky sessions, word for word, and what browsers see of
them (CLB.md §1.9, R-044…R-051 and R-068…R-074).
"""

import contextlib
import json
from pathlib import Path

from against_botocore import contains
from backends import MY_APP_COOKIE
from clients import Aws, Broken, Browser, answers, expect, get, within
from stage import CERTIFICATE, INSTANCES, Stage, may_listen_at

CASES = Path(__file__).resolve().parent.parent / "cases" / "elb"

# The ports of the page, and those that stand for them where only root may have the former.
PORTS = {80: 80, 443: 443}
HIGH_PORTS = {80: 10_080, 443: 10_443}

CREATE = (
    "create-load-balancer --load-balancer-name my-loadbalancer --availability-zones us-west-2a"
    " --listeners Protocol=HTTPS,LoadBalancerPort={https},InstanceProtocol=HTTPS,"
    "InstancePort={https},SSLCertificateId=" + CERTIFICATE
)
CREATE_TCP = " Protocol=TCP,LoadBalancerPort={http},InstanceProtocol=TCP,InstancePort={http}"
CONFIGURE = (
    "configure-health-check --load-balancer-name my-loadbalancer --health-check"
    " Target=TCP:{https},Interval=5,Timeout=2,UnhealthyThreshold=2,HealthyThreshold=2"
)
REGISTER = (
    "register-instances-with-load-balancer --load-balancer-name my-loadbalancer --instances "
    + " ".join(INSTANCES[:2])
)
# The page's own.
CREATE_DURATION = (
    "create-lb-cookie-stickiness-policy --load-balancer-name my-loadbalancer"
    " --policy-name my-duration-cookie-policy --cookie-expiration-period 60"
)
CREATE_APP = (
    "create-app-cookie-stickiness-policy --load-balancer-name my-loadbalancer"
    " --policy-name my-app-cookie-policy --cookie-name my-app-cookie"
)
SET = (
    "set-load-balancer-policies-of-listener --load-balancer-name my-loadbalancer"
    " --load-balancer-port {https} --policy-names "
)
DESCRIBE = "describe-load-balancers --load-balancer-name my-loadbalancer"


class Shop:
    """The load balancer of the page, made by `aws elb`, with two instances in service."""

    def __init__(self, stage, ports, create):
        self.http, self.https = ports[80], ports[443]
        self.stage = stage
        self.aws = Aws(stage)
        self.address = self.aws.json(self.words(create))["DNSName"]
        self.aws.json(self.words(CONFIGURE))
        self.aws.json(REGISTER)
        within(20, "who answers", self.who, set(self.stage.backends))

    def words(self, text):
        return text.format(http=self.http, https=self.https)

    def who(self):
        return answers(self.address, self.https, self.stage.certificate)

    def browser(self):
        return Browser(self.address, self.https, self.stage.certificate)

    def get(self, path="/", cookies=None):
        return get(self.address, self.https, path, self.stage.certificate, cookies)

    def confirm(self, golden):
        """Holds what describe-load-balancers prints against the page, in the fields shown there."""
        expected = (CASES / golden).read_text()
        for port, used in {80: self.http, 443: self.https}.items():
            expected = expected.replace(f'Port": {port}', f'Port": {used}')
        came = self.aws.json(DESCRIBE)
        if not contains(came, json.loads(expected)):
            raise Broken(
                f"aws elb {DESCRIBE}\n  came      {json.dumps(came)}\n"
                f"  expected  to contain {expected}"
            )


@contextlib.contextmanager
def shop_of(program, create):
    ports = usable_ports()
    with Stage(program, ports=[ports[80]], secure_ports=[ports[443]]) as stage:
        yield Shop(stage, ports, create)


def usable_ports():
    """The page's ports; loudly others if this user may not have them."""
    if all(map(may_listen_at, PORTS)):
        return PORTS
    print(f"!!! NOT AT THE PORTS OF THE PAGE: no leave to listen at them; instead {HIGH_PORTS}")
    return HIGH_PORTS


def the_duration_walk_through_is_as_on_the_page(program):
    with shop_of(program, CREATE) as shop, shop.browser() as open_before:
        expect("cookies before there is a policy", list(open_before.get()[2]), [])
        shop.aws.silent(CREATE_DURATION)
        expect("cookies before it is set", list(open_before.get()[2]), [])
        shop.aws.silent(shop.words(SET) + "my-duration-cookie-policy")
        shop.confirm("duration-describe.json")

        status, first, jar = open_before.get()
        if "AWSELB" not in jar:
            raise Broken(f"no AWSELB over a connection that was open before: {status} {jar}")
        sessions = [(first, jar)] + [shop.get()[1:] for _ in range(8)]
        for name, jar in sessions:
            keeps_to(shop, name, jar)
        expect("who got new sessions", {name for name, _ in sessions}, set(shop.stage.backends))


def keeps_to(shop, name, jar):
    """The session that such a cookie began stays where it was, over old and new connections."""
    expect("MAX-AGE of the cookie", jar["AWSELB"]["max-age"], "60")
    expect("PATH of the cookie", jar["AWSELB"]["path"], "/")
    cookies = {"AWSELB": jar["AWSELB"].value}
    with shop.browser() as browser:
        came = [browser.get(cookies=cookies) for _ in range(20)]
    came += [shop.get(cookies=cookies) for _ in range(4)]
    expect("answers to a session", [(status, body) for status, body, _ in came], [(200, name)] * 24)
    expect("cookies of a session that has one", [dict(jar) for _, _, jar in came], [{}] * 24)


def the_application_walk_through_is_as_on_the_page(program):
    with shop_of(program, CREATE + CREATE_TCP) as shop:
        shop.aws.silent(CREATE_APP)
        shop.aws.silent(shop.words(SET) + "my-app-cookie-policy")
        shop.confirm("application-describe.json")

        expect("who answers over TCP", answers(shop.address, shop.http), set(shop.stage.backends))
        expect("cookies without the application's", list(shop.get()[2]), [])
        _, name, jar = shop.get("/login")
        lives = {key: jar[key]["max-age"] for key in jar if key in (MY_APP_COOKIE, "AWSELB")}
        expect("lives of the cookies", lives, {MY_APP_COOKIE: "30", "AWSELB": "30"})

        cookies = {key: jar[key].value for key in lives}
        came = [shop.get(cookies=cookies) for _ in range(12)]
        expect("who answers a session", {body for _, body, _ in came}, {name})
        expect("cookies of that session", [dict(jar) for _, _, jar in came], [{}] * 12)
        del cookies[MY_APP_COOKIE]
        came = {shop.get(cookies=cookies)[1] for _ in range(12)}
        expect("who answers without the application's cookie", came, set(shop.stage.backends))


def an_empty_list_of_policies_ends_stickiness(program):
    with shop_of(program, CREATE) as shop:
        shop.aws.silent(CREATE_DURATION)
        shop.aws.silent(shop.words(SET) + "my-duration-cookie-policy")
        expect("AWSELB", "AWSELB" in shop.get()[2], True)
        shop.aws.silent(shop.words(SET) + "[]")
        expect("cookies", list(shop.get()[2]), [])
        listener = shop.aws.json(DESCRIBE)["LoadBalancerDescriptions"][0]["ListenerDescriptions"][0]
        expect("policies", listener["PolicyNames"], ["ELBSecurityPolicy-2016-08"])
        status, _, complaint = shop.aws.run(
            ["delete-load-balancer-policy", "--load-balancer-name", "none", "--policy-name", "x"]
        )
        expect("exit status of a refusal", status != 0, True)
        expect("its code", "(LoadBalancerNotFound)" in complaint, True)


PROMISES = [
    the_duration_walk_through_is_as_on_the_page,
    the_application_walk_through_is_as_on_the_page,
    an_empty_list_of_policies_ends_stickiness,
]
