"""The examples that come with awscli, word for word: each command of each file once.

They were written for load balancers that some had before, so that PLAN makes these in between. An
example that a new awscli brings is in no plan yet, and is told of.
"""

import json
import re
import shlex
from pathlib import Path

import awscli

from clients import Aws, Broken, expect, within
from stage import Stage
from walk_throughs import usable_ports

EXAMPLES = Path(awscli.__file__).parent / "examples" / "elb"

ARN = "arn:aws:iam::123456789012:server-certificate/"
ARNS = [f"{ARN}my-server-cert", f"{ARN}new-server-cert"]

# What is run, in this order. A line with `>` is an example: its file and which of its commands.
# Others are ours. `in service` waits for what would take `aws elb wait` 15 seconds.
PLAN = """
> describe-account-limits 1
> describe-load-balancer-policy-types 1
> create-load-balancer 1
delete-load-balancer --load-balancer-name my-load-balancer
> create-load-balancer 2
delete-load-balancer --load-balancer-name my-load-balancer
> create-load-balancer 3
delete-load-balancer --load-balancer-name my-load-balancer
> create-load-balancer 5
> attach-load-balancer-to-subnets 1
> detach-load-balancer-from-subnets 1
> apply-security-groups-to-load-balancer 1
> delete-load-balancer 1
> create-load-balancer 4
> enable-availability-zones-for-load-balancer 1
> disable-availability-zones-for-load-balancer 1
> configure-health-check 1
> delete-load-balancer-listeners 1
> create-load-balancer-listeners 1
> create-load-balancer-listeners 2
> register-instances-with-load-balancer 1
> describe-instance-health 1
> describe-instance-health 2
> deregister-instances-from-load-balancer 1
> add-tags 1
> describe-tags 1
> remove-tags 1
> modify-load-balancer-attributes 1
> modify-load-balancer-attributes 2
> describe-load-balancer-attributes 1
> set-load-balancer-listener-ssl-certificate 1
> create-app-cookie-stickiness-policy 1
> create-lb-cookie-stickiness-policy 1
> create-load-balancer-policy 1
> create-load-balancer-policy 2
> create-load-balancer-policy 4
> create-load-balancer-policy 5
> describe-load-balancer-policies 1
> describe-load-balancer-policies 2
> set-load-balancer-policies-for-backend-server 1
> set-load-balancer-policies-of-listener 1
> describe-load-balancers 1
> describe-load-balancers 2
> set-load-balancer-policies-for-backend-server 2
> set-load-balancer-policies-of-listener 2
set-load-balancer-policies-of-listener --load-balancer-name my-load-balancer \
    --load-balancer-port 443 --policy-names ELBSecurityPolicy-2016-08
delete-load-balancer-policy --load-balancer-name my-load-balancer \
    --policy-name my-SSLNegotiation-policy
> create-load-balancer-policy 3
> delete-load-balancer-policy 1
create-load-balancer --load-balancer-name my-loadbalancer --availability-zones us-west-2a \
    --listeners Protocol=HTTP,LoadBalancerPort=80,InstancePort=80
register-instances-with-load-balancer --load-balancer-name my-loadbalancer \
    --instances i-1234567890abcdef0
in service
> wait/any-instance-in-service 1
> wait/instance-in-service 1
deregister-instances-from-load-balancer --load-balancer-name my-loadbalancer \
    --instances i-1234567890abcdef0
> wait/instance-deregistered 1
"""

# Examples that have to be refused: with which code, and why.
REFUSED = {
    "create-load-balancer-listeners 2": ("ValidationError", "it has HTTPS and no certificate"),
}

# A word that awscli itself reads otherwise than its example means it: it takes the whole for the
# id, and would wait ten minutes for an instance that is called so.
MISTAKEN = "InstanceId="


def extract():
    """The commands of the examples, with whether output is shown, by file and number."""
    found = {}
    for path in sorted(EXAMPLES.rglob("*.rst")):
        text = path.read_text().replace("\\\n", " ")
        _, *parts = re.split(r"^ +aws elb ", text, flags=re.MULTILINE)
        for number, part in enumerate(parts, 1):
            name = path.relative_to(EXAMPLES).with_suffix("")
            words, _, rest = part.partition("\n")
            found[f"{name} {number}"] = shlex.split(words), "Output::" in rest
    return found


class Player:
    """Runs the plan against one elbow."""

    def __init__(self, stage, ports):
        self.aws = Aws(stage)
        self.ports = ports

    def run(self, words):
        """Runs a command, at the ports that this user may have."""
        ports = {str(port): str(used) for port, used in self.ports.items()}
        replaced = [
            re.sub(
                r"(?<=Port=)\d+$|(?<=Port=)\d+(?=,)|^\d+$|(?<=HTTP:)\d+",
                lambda match: ports.get(match[0], match[0]),
                word,
            )
            for word in words
        ]
        return self.aws.run(replaced)

    def ours(self, line):
        status, _, complaint = self.run(line.split())
        expect(f"aws elb {line}", (status, complaint), (0, ""))

    def states(self):
        words = "describe-instance-health --load-balancer-name my-loadbalancer"
        return [one["State"] for one in self.aws.json(words)["InstanceStates"]]

    def example(self, name, words, shows_output):
        """What is wrong with what came, if anything."""
        if any(word.startswith(MISTAKEN) for word in words):
            print(f"without {MISTAKEN}, which awscli takes for a part of the id: {name}")
            words = [word.removeprefix(MISTAKEN) for word in words]
        status, printed, complaint = self.run(words)
        what = f"{name}: aws elb {shlex.join(words)}\n  came      {status} {printed}{complaint}"
        if name in REFUSED:
            code, why = REFUSED[name]
            print(f"refused, as {why}: {name}: {complaint}")
            return None if f"({code})" in complaint else f"{what}\n  expected  {code}"
        if status or complaint:
            return f"{what}\n  expected  success"
        # An example of what is described does not always show it.
        if shows_output or words[0].startswith("describe-"):
            return None if isinstance(parsed(printed), dict) else f"{what}\n  expected  JSON"
        return f"{what}\n  expected  no output" if printed else None


def parsed(text):
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None


def the_examples_of_awscli_are_understood(program):
    ports = usable_ports()
    examples = extract()
    lines = [line for line in PLAN.replace("\\\n", " ").splitlines() if line]
    planned = [line[2:] for line in lines if line.startswith("> ")]
    expect("examples in the plan", sorted(planned), sorted(examples))
    wrong = []
    with Stage(program, instances=5, ports=[ports[80]], arns=ARNS) as stage:
        player = Player(stage, ports)
        for line in lines:
            if line.startswith("> "):
                wrong.append(player.example(line[2:], *examples[line[2:]]))
            elif line == "in service":
                within(20, "health", player.states, ["InService"])
            else:
                player.ours(line)
    wrong = list(filter(None, wrong))
    print(f"{len(planned)} examples, {len(REFUSED)} refused as expected")
    if wrong:
        raise Broken("\n".join(wrong))


PROMISES = [the_examples_of_awscli_are_understood]
