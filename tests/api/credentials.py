"""Who is let in: `aws elb` and boto3 with a key that elbow knows, and with others."""

import time
import urllib.error
import urllib.request
from base64 import b64encode
from datetime import datetime, timezone
from urllib.parse import urlencode, urlsplit

import boto3
import botocore.auth
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from clients import PATIENCE, Aws, Broken, answers, expect, within
from stage import INSTANCES, Stage, free_port
from words import create, instances, listener, web

SERVICE = "elasticloadbalancing"

# The id and the secret of who may change things, and of who may only read.
CHANGES = ("AKIDCHANGES", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
READS = ("AKIDREADS", "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY")
OTHER = (CHANGES[0], "another")
NOBODY = ("AKIDNOBODY", CHANGES[1])


class Guarded(Stage):
    """A stage whose API wants to know who asks, and that knows a name of its own and some ids."""

    known_ids = ["us-east-1a", "us-east-1b", "subnet-a", "sg-a", "vpc-a"]

    def configuration(self, pool, arns):
        text = super().configuration(pool, arns)
        text = text.replace("[api]\n", f"[api]\nknown_ids = {self.known_ids}\n")
        for read_only, (key, secret) in ("false", CHANGES), ("true", READS):
            file = self.directory / key
            file.write_text(secret + "\n")
            file.chmod(0o600)
            text += f'[[admin.credential]]\naccess_key_id = "{key}"\n'
            text += f'secret_access_key_file = "{file}"\nread_only = {read_only}\n'
        return text


def boto(stage, key, attempts=1):
    """A client with this key."""
    config = Config(
        retries={"total_max_attempts": attempts},
        connect_timeout=PATIENCE,
        read_timeout=PATIENCE,
        proxies={},
    )
    return boto3.session.Session().client(
        "elb",
        region_name="us-east-1",
        endpoint_url=stage.url,
        aws_access_key_id=key[0],
        aws_secret_access_key=key[1],
        config=config,
    )


def refusal(ask, **words):
    """The status and the code with which a call is refused; None if it is not."""
    try:
        ask(**words)
    except ClientError as error:
        answer = error.response
        return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]
    return None


def ask(url, data=None, fields=(), method=None):
    """The status and the text of one request by a client that knows nothing of AWS."""
    request = urllib.request.Request(url, data, dict(fields), method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def refused(stage):
    """What elbow has refused so far, by the reasons."""
    status, text = ask(stage.url + "/metrics", fields=basic(READS).items())
    expect("metrics by password", status, 200)
    start = 'elbow_admin_refused_total{reason="'
    lines = (line[len(start) :] for line in text.splitlines() if line.startswith(start))
    counts = (line.split('"} ') for line in lines)
    return {reason: int(count) for reason, count in counts if int(count)}


def basic(key):
    return {"Authorization": "Basic " + b64encode(":".join(key).encode()).decode()}


def signed(stage, key, words, at=None, service=SERVICE):
    """A POST of these words, signed at that time, in seconds since 1970."""
    request = AWSRequest("POST", stage.url + "/", data=urlencode(words).encode())
    request.headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
    sign(SigV4Auth(Credentials(*key), service, "us-east-1"), request, at)
    return request.prepare()


def sign(auth, request, at):
    """Has botocore sign as if it were that time."""
    when = datetime.fromtimestamp(at or time.time(), timezone.utc)
    real = botocore.auth.get_current_datetime
    botocore.auth.get_current_datetime = lambda remove_tzinfo=True: when.replace(
        tzinfo=None if remove_tzinfo else timezone.utc
    )
    try:
        auth.add_auth(request)
    finally:
        botocore.auth.get_current_datetime = real


def send(prepared, body=None, url=None):
    """Sends what was signed, perhaps with another body or to another place."""
    fields = {"Host": urlsplit(prepared.url).netloc} | dict(prepared.headers.items())
    return ask(url or prepared.url, body or prepared.body, fields.items(), prepared.method)


def action(name, **words):
    return {"Action": name, "Version": "2012-06-01"} | words


def has_code(what, answer, status, code):
    expect(f"the status of {what}", answer[0], status)
    if f"<Code>{code}</Code>" not in answer[1]:
        raise Broken(f"{what}: no {code} in\n{answer[1]}")


def credentials_let_in_who_has_the_key(program):
    port = free_port()
    with Guarded(program, ports=[port]) as stage:
        elb = boto(stage, CHANGES)
        elb.create_load_balancer(**create("web", listener("HTTP", port, port)))
        for key, code in (OTHER, "SignatureDoesNotMatch"), (NOBODY, "InvalidClientTokenId"):
            came = refusal(boto(stage, key).describe_load_balancers)
            expect(f"boto3 as {key}", came, (403, code))
        elb.register_instances_with_load_balancer(**web(Instances=instances(*INSTANCES[:2])))
        [balancer] = elb.describe_load_balancers()["LoadBalancerDescriptions"]
        address = balancer["DNSName"]
        within(20, "traffic", lambda: answers(address, port), set(INSTANCES[:2]))
        aws = Aws(stage, region="us-east-1")
        aws.environment |= {"AWS_ACCESS_KEY_ID": CHANGES[0], "AWS_SECRET_ACCESS_KEY": CHANGES[1]}
        aws.silent(
            "create-lb-cookie-stickiness-policy --load-balancer-name web --policy-name by-cli"
        )
        aws.environment["AWS_SECRET_ACCESS_KEY"] = "another"
        status, printed, complaint = aws.run(["describe-load-balancers"])
        expect("aws elb with another secret", (bool(status), printed), (True, ""))
        if "SignatureDoesNotMatch" not in complaint:
            raise Broken(complaint)
        has_code(
            "no signature",
            ask(stage.url + "/", urlencode(action("DescribeLoadBalancers")).encode()),
            403,
            "MissingAuthenticationToken",
        )
        expect("the traffic goes on", answers(address, port), set(INSTANCES[:2]))
        expect("refusals", refused(stage), {"signature": 2, "credential": 1, "unsigned": 1})


def credentials_that_only_read(program):
    port = free_port()
    with Guarded(program, ports=[port]) as stage:
        boto(stage, CHANGES).create_load_balancer(**create("web", listener("HTTP", port, port)))
        reader = boto(stage, READS)
        expect("one", len(reader.describe_load_balancers()["LoadBalancerDescriptions"]), 1)
        reader.describe_account_limits()
        for ask_for, words in [
            (reader.delete_load_balancer, web()),
            (reader.create_lb_cookie_stickiness_policy, web(PolicyName="p")),
            (reader.delete_load_balancer_listeners, web(LoadBalancerPorts=[port])),
        ]:
            expect("a change by a reader", refusal(ask_for, **words), (403, "AccessDenied"))
        [balancer] = reader.describe_load_balancers()["LoadBalancerDescriptions"]
        expect("nothing changed", balancer["Policies"]["LBCookieStickinessPolicies"], [])
        expect("refusals", refused(stage), {"read_only": 3})


def credentials_and_signatures_that_do_not_hold(program):
    port = free_port()
    with Guarded(program, ports=[port]) as stage:
        elb = boto(stage, CHANGES)
        elb.create_load_balancer(**create("web", listener("HTTP", port, port)))
        now = time.time()
        describe = action("DescribeLoadBalancers")
        for minutes in -6, -60 * 24, 6:
            late = signed(stage, CHANGES, describe, now + 60 * minutes)
            has_code(f"signed {minutes} min from now", send(late), 400, "RequestExpired")
        for minutes in -4, 4:
            near = signed(stage, CHANGES, describe, now + 60 * minutes)
            expect(f"signed {minutes} min from now", send(near)[0], 200)
        whole = signed(stage, CHANGES, describe)
        changed = whole.body.replace(b"2012-06-01", b"2012-06-02")
        has_code("another body", send(whole, changed), 403, "SignatureDoesNotMatch")
        elsewhere = signed(stage, CHANGES, describe, service="s3")
        has_code("another service", send(elsewhere), 403, "SignatureDoesNotMatch")
        whole.headers["Host"] = "evil.test"
        has_code("another Host", send(whole), 403, "AccessDenied")
        expect("one", len(elb.describe_load_balancers()["LoadBalancerDescriptions"]), 1)
        expect("refusals", refused(stage), {"expired": 3, "signature": 2, "host": 1})


def credentials_change_once_by_each_signature(program):
    port = free_port()
    with Guarded(program, ports=[port]) as stage:
        elb = boto(stage, CHANGES)
        elb.create_load_balancer(**create("web", listener("HTTP", port, port)))
        create_policy = action(
            "CreateLBCookieStickinessPolicy", LoadBalancerName="web", PolicyName="p"
        )
        change = signed(stage, CHANGES, create_policy)
        expect("the first time", send(change)[0], 200)
        elb.delete_load_balancer_policy(**web(PolicyName="p"))
        has_code("again", send(change), 400, "Throttling")
        [balancer] = elb.describe_load_balancers()["LoadBalancerDescriptions"]
        expect("it did nothing", balancer["Policies"]["LBCookieStickinessPolicies"], [])
        read = signed(stage, CHANGES, action("DescribeLoadBalancers"))
        expect("who asks may ask again", [send(read)[0], send(read)[0]], [200, 200])
        # What was signed for the elbow of before is not for the next one, which begins in
        # another second and cannot know what was done by it.
        before = signed(stage, CHANGES, create_policy)
        stage.elbow.kill()
        time.sleep(1.1)
        stage.elbow.start()
        url = stage.url + "/"
        has_code("of before the start", send(before, url=url), 400, "Throttling")
        expect("a read of before the start", send(read, url=url)[0], 200)


def credentials_two_equal_changes_in_a_second(program):
    """They have one signature. The second is refused in a way that clients know: they sign anew a
    moment later, and it is carried out."""
    port = free_port()
    with Guarded(program, ports=[port]) as stage:
        elb = boto(stage, CHANGES, attempts=10)
        elb.create_load_balancer(**create("web", listener("HTTP", port, port)))
        idle = web(LoadBalancerAttributes={"ConnectionSettings": {"IdleTimeout": 30}})
        tries = []
        for _ in range(6):
            answer = elb.modify_load_balancer_attributes(**idle)
            tries.append(answer["ResponseMetadata"]["RetryAttempts"])
        print(f"six equal changes, tried again: {tries}")
        if not any(tries):
            raise Broken("no two of six were in one second")
        once = boto(stage, CHANGES)
        outcomes = {refusal(once.modify_load_balancer_attributes, **idle) for _ in range(6)}
        expect("without further tries", outcomes - {None}, {(400, "Throttling")})


def credentials_presign_urls(program):
    port = free_port()
    with Guarded(program, ports=[port]) as stage:
        elb = boto(stage, CHANGES)
        elb.create_load_balancer(**create("web", listener("HTTP", port, port)))

        def presigned(key, words, seconds, at=None):
            request = AWSRequest("GET", f"{stage.url}/?{urlencode(words)}")
            auth = SigV4QueryAuth(Credentials(*key), SERVICE, "us-east-1", expires=seconds)
            sign(auth, request, at)
            return request.prepare().url

        describe = action("DescribeLoadBalancers")
        url = presigned(CHANGES, describe, 60)
        for _ in range(2):
            status, text = ask(url)
            expect("a presigned URL", (status, "<LoadBalancerName>web<" in text), (200, True))
        other = url.replace("DescribeLoadBalancers", "DescribeAccountLimits")
        has_code("of another action", ask(other), 403, "SignatureDoesNotMatch")
        longer = url.replace("X-Amz-Expires=60", "X-Amz-Expires=600")
        has_code("for longer", ask(longer), 403, "SignatureDoesNotMatch")
        hour_ago = time.time() - 3600
        over = presigned(CHANGES, describe, 60, hour_ago)
        has_code("that is over", ask(over), 400, "RequestExpired")
        expect("that is long", ask(presigned(CHANGES, describe, 7200, hour_ago))[0], 200)
        delete = action("DeleteLoadBalancer", LoadBalancerName="web")
        has_code("by a reader", ask(presigned(READS, delete, 60)), 403, "AccessDenied")
        url = presigned(CHANGES, delete, 60)
        expect("a change", ask(url)[0], 200)
        has_code("a change again", ask(url), 400, "Throttling")


def credentials_and_ids_that_are_not_known(program):
    port = free_port()
    with Guarded(program, ports=[port]) as stage:
        elb = boto(stage, CHANGES)
        http = listener("HTTP", port, port)
        nowhere = {"AvailabilityZones": ["us-east-1a", "us-east-1z"]}
        expect(
            "an unknown zone",
            refusal(elb.create_load_balancer, **create("web", http, **nowhere)),
            (400, "ValidationError"),
        )
        inner = {"Subnets": ["subnet-z"], "Scheme": "internal"}
        expect(
            "an unknown subnet",
            refusal(elb.create_load_balancer, **create("web", http, **inner)),
            (400, "SubnetNotFound"),
        )
        inner = {"Subnets": ["subnet-a"], "SecurityGroups": ["sg-a"], "Scheme": "internal"}
        elb.create_load_balancer(**create("web", http, **inner))
        expect(
            "an unknown security group",
            refusal(elb.apply_security_groups_to_load_balancer, **web(SecurityGroups=["sg-z"])),
            (400, "InvalidSecurityGroup"),
        )
        [balancer] = elb.describe_load_balancers()["LoadBalancerDescriptions"]
        shown = balancer["VPCId"], balancer["Subnets"], balancer["SecurityGroups"]
        expect("what is known", shown, ("vpc-a", ["subnet-a"], ["sg-a"]))


PROMISES = [
    credentials_let_in_who_has_the_key,
    credentials_that_only_read,
    credentials_and_signatures_that_do_not_hold,
    credentials_change_once_by_each_signature,
    credentials_two_equal_changes_in_a_second,
    credentials_presign_urls,
    credentials_and_ids_that_are_not_known,
]
