"""A stream of changes by chance, and what the API should say after each of them.

Invariant: when it ends, all of `model` was answered, and nothing beyond `next` was asked for.
"""

import copy
import random
import threading

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from clients import PATIENCE
from stage import INSTANCES
from words import CHECK, ZONES, create, instances, listener, tags

NAMES = [f"lb-{number}" for number in range(5)]


class Writer(threading.Thread):
    """Asks for one change after the other until nobody answers."""

    def __init__(self, elb, seed, model, addresses, ports):
        super().__init__(daemon=True)
        self.elb = elb
        self.chance = random.Random(seed)
        self.ports = ports
        # What was answered, and what will be if the change under way is.
        self.model = model
        self.next = model
        self.addresses = dict(addresses)
        self.change = None
        self.count = 0
        self.refused = None
        self.has_begun = threading.Event()

    def await_first_change(self):
        self.has_begun.wait(PATIENCE)

    def run(self):
        try:
            while True:
                self.one()
        except (ConnectionError, HTTPClientError):
            pass
        except ClientError as error:
            self.refused = f"{self.change}: {error}"
        finally:
            self.has_begun.set()

    def one(self):
        after = copy.deepcopy(self.model)
        self.change = choose(self.chance, after, self.ports)
        self.next = after
        method, words = self.change
        answer = getattr(self.elb, method)(**words)
        name = words.get("LoadBalancerName")
        if "DNSName" in answer:
            self.addresses[name] = answer["DNSName"]
        if method == "delete_load_balancer":
            del self.addresses[name]
        self.model = after
        self.count += 1
        self.has_begun.set()


def choose(chance, model, ports):
    """A method and its words; `model` becomes what it should lead to."""
    name = chance.choice(NAMES)
    if name not in model:
        return made(chance, model, name, ports)
    changes = [policy_made, policies_set, registered, deregistered, tagged, checked, opened, closed]
    if chance.random() < 0.1:
        del model[name]
        return "delete_load_balancer", {"LoadBalancerName": name}
    method, words = chance.choice(changes)(chance, model[name], ports)
    if method == "add_tags":
        return method, {"LoadBalancerNames": [name]} | words
    return method, {"LoadBalancerName": name} | words


def made(chance, model, name, ports):
    first, second, _ = ports
    made_for = {"made-for": str(chance.randrange(1_000))}
    model[name] = {
        "listeners": {first: [], second: []},
        "policies": {},
        "instances": [],
        "tags": made_for,
        "interval": 30,
    }
    listeners = [listener("HTTP", port, port) for port in (first, second)]
    return "create_load_balancer", create(name, *listeners, **ZONES, Tags=tags(**made_for))


def policy_made(chance, there, _):
    policies = there["policies"]
    if len(policies) > 5:
        return checked(chance, there, _)
    name, period = f"p-{len(policies)}", chance.randrange(1, 1_000)
    policies[name] = period
    words = {"PolicyName": name, "CookieExpirationPeriod": period}
    return "create_lb_cookie_stickiness_policy", words


def policies_set(chance, there, _):
    port = chance.choice(sorted(there["listeners"]))
    chosen = chance.sample(sorted(there["policies"]), min(1, len(there["policies"])))
    there["listeners"][port] = chosen
    words = {"LoadBalancerPort": port, "PolicyNames": chosen}
    return "set_load_balancer_policies_of_listener", words


def registered(chance, there, _):
    new = chance.sample(INSTANCES[:2], chance.randint(1, 2))
    there["instances"] = sorted({*there["instances"], *new})
    return "register_instances_with_load_balancer", {"Instances": instances(*new)}


def deregistered(chance, there, _):
    gone = chance.choice(INSTANCES[:2])
    there["instances"] = [name for name in there["instances"] if name != gone]
    return "deregister_instances_from_load_balancer", {"Instances": instances(gone)}


def tagged(chance, there, _):
    new = {key: str(chance.randrange(1_000)) for key in chance.sample("abcdef", 3)}
    there["tags"] |= new
    return "add_tags", {"Tags": tags(**new)}


def checked(chance, there, ports):
    there["interval"] = chance.randrange(5, 60)
    check = {"Target": f"TCP:{ports[0]}"} | CHECK | {"Interval": there["interval"]}
    return "configure_health_check", {"HealthCheck": check}


def opened(_, there, ports):
    there["listeners"].setdefault(ports[2], [])
    words = {"Listeners": [listener("HTTP", ports[2], ports[2])]}
    return "create_load_balancer_listeners", words


def closed(_, there, ports):
    there["listeners"].pop(ports[2], None)
    return "delete_load_balancer_listeners", {"LoadBalancerPorts": [ports[2]]}


def seen(elb):
    """What the API says, in the form of a model."""
    answer = elb.describe_load_balancers()["LoadBalancerDescriptions"]
    names = [one["LoadBalancerName"] for one in answer]
    described = elb.describe_tags(LoadBalancerNames=names)["TagDescriptions"] if names else []
    tagged_with = {
        one["LoadBalancerName"]: {tag["Key"]: tag["Value"] for tag in one["Tags"]}
        for one in described
    }
    return {
        one["LoadBalancerName"]: {
            "listeners": {
                it["Listener"]["LoadBalancerPort"]: it["PolicyNames"]
                for it in one["ListenerDescriptions"]
            },
            "policies": {
                it["PolicyName"]: it["CookieExpirationPeriod"]
                for it in one["Policies"]["LBCookieStickinessPolicies"]
            },
            "instances": sorted(it["InstanceId"] for it in one["Instances"]),
            "tags": tagged_with[one["LoadBalancerName"]],
            "interval": one["HealthCheck"]["Interval"],
        }
        for one in answer
    }
