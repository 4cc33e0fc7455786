"""What the API says is so: when it has answered, connections and requests go that way."""

import contextlib
import socket

from actions import refusal
from clients import Browser, answers, boto, expect, get, is_open, within
from stage import CERTIFICATE, Stage, free_port
from words import CHECK, ZONES, create, instances, listener, web

# Seconds in which a change that is not in force at once has to be.
SOON = 20


def serve(elb, name, port, *names):
    """Makes a load balancer for HTTP with instances in service; its address."""
    address = elb.create_load_balancer(**create(name, listener("HTTP", port, port)))["DNSName"]
    here = {"LoadBalancerName": name}
    elb.configure_health_check(**here, HealthCheck={"Target": f"TCP:{port}"} | CHECK)
    elb.register_instances_with_load_balancer(**here, Instances=instances(*names))
    within(SOON, "who answers", lambda: answers(address, port), set(names))
    return address


def shown(elb):
    """The ports of the listeners of each load balancer."""
    return {
        one["LoadBalancerName"]: [
            listening["Listener"]["LoadBalancerPort"] for listening in one["ListenerDescriptions"]
        ]
        for one in elb.describe_load_balancers()["LoadBalancerDescriptions"]
    }


def is_closed(address, port):
    """Shards close a listener when they hear of it, which is at once but not yet."""
    within(2, f"whether {address}:{port} is open", lambda: is_open(address, port), False)


def a_load_balancer_listens_when_it_is_made_and_not_when_it_is_deleted(program):
    port = free_port()
    with Stage(program) as stage:
        elb = boto(stage)
        for number in range(20):
            made = elb.create_load_balancer(**create("web", listener("HTTP", port, port)))
            address = made["DNSName"]
            status, _, _ = get(address, port)
            expect(f"status without an instance, load balancer {number}", status, 503)
            elb.delete_load_balancer(**web())
            is_closed(address, port)
        expect("what is left", shown(elb), {})


def two_load_balancers_share_a_port_and_nothing_else(program):
    port = free_port()
    with Stage(program, ports=[port]) as stage:
        elb = boto(stage)
        first, second = stage.backends
        one = serve(elb, "one", port, first)
        other = serve(elb, "other", port, second)
        expect("whether their addresses differ", one != other, True)
        expect("who answers at the one", answers(one, port), {first})
        elb.delete_load_balancer(LoadBalancerName="one")
        expect("who answers at the other", answers(other, port), {second})


def requests_go_to_those_that_are_registered(program):
    port = free_port()
    with Stage(program, ports=[port]) as stage:
        elb = boto(stage)
        first, second = stage.backends
        address = serve(elb, "web", port, first)
        with Browser(address, port) as browser:
            answer = elb.register_instances_with_load_balancer(**web(Instances=instances(second)))
            expect("instances", answer["Instances"], instances(first, second))
            within(SOON, "who answers", lambda: answers(address, port), {first, second})
            answer = elb.deregister_instances_from_load_balancer(**web(Instances=instances(first)))
            expect("instances", answer["Instances"], instances(second))
            came = {browser.get()[1] for _ in range(12)}
            expect("who answers over a connection that was open before", came, {second})
        expect("who answers", answers(address, port), {second})
        elb.deregister_instances_from_load_balancer(**web(Instances=instances(second)))
        expect("the status without an instance", answers(address, port), {503})


def listeners_come_and_go_while_others_serve(program):
    port, extra = free_port(), free_port()
    with Stage(program, ports=[port]) as stage:
        elb = boto(stage)
        first, _ = stage.backends
        address = serve(elb, "web", port, first)
        https = listener("HTTPS", extra, port, SSLCertificateId=CERTIFICATE)
        with Browser(address, port) as browser:
            expect("who answers", browser.get()[1], first)
            elb.create_load_balancer_listeners(**web(Listeners=[https]))
            expect("who answers by TLS", answers(address, extra, stage.certificate), {first})
            expect("who answers meanwhile", browser.get()[1], first)
            elb.delete_load_balancer_listeners(**web(LoadBalancerPorts=[extra]))
            is_closed(address, extra)
            expect("who answers after", browser.get()[1], first)


@contextlib.contextmanager
def taken(port, address="0.0.0.0"):
    """Somebody else listens there."""
    with socket.socket() as other:
        other.bind((address, port))
        other.listen()
        yield


def what_cannot_be_leaves_nothing_half_done(program):
    port, extra, last = free_port(), free_port(), free_port()
    unknown = listener("HTTPS", extra, port, SSLCertificateId="arn:none")
    conflict = ("InvalidConfigurationRequest", 409)
    with Stage(program, ports=[port]) as stage:
        elb = boto(stage)
        first, second = stage.backends
        with taken(extra):
            both = create("web", listener("HTTP", port, port), listener("HTTP", extra, port))
            expect("a taken port", refusal(elb, "create_load_balancer", both), conflict)
        expect("load balancers", shown(elb), {})
        both = create("web", listener("HTTP", port, port), unknown)
        came = refusal(elb, "create_load_balancer", both)
        expect("an unknown certificate", came, ("CertificateNotFound", 400))
        expect("load balancers", shown(elb), {})

        address = serve(elb, "web", port, first)
        more = web(Listeners=[listener("HTTP", last, port), listener("HTTP", extra, port)])
        with taken(extra, address):
            came = refusal(elb, "create_load_balancer_listeners", more)
            expect("a taken port", came, conflict)
        more["Listeners"][1] = unknown
        came = refusal(elb, "create_load_balancer_listeners", more)
        expect("an unknown certificate", came, ("CertificateNotFound", 400))
        expect("load balancers", shown(elb), {"web": [port]})
        expect("whether the first of the two is open", is_open(address, last), False)

        mixed = web(Instances=instances(second, "i-unknown"))
        came = refusal(elb, "register_instances_with_load_balancer", mixed)
        expect("an unknown instance", came, ("InvalidInstance", 400))
        expect("who answers", answers(address, port), {first})


def a_region_is_a_namespace_of_its_own(program):
    port = free_port()
    with Stage(program, ports=[port]) as stage:
        here, there = boto(stage), boto(stage, "eu-west-1")
        first, second = stage.backends
        one, other = serve(here, "web", port, first), serve(there, "web", port, second)
        expect("whether their addresses differ", one != other, True)
        there.create_load_balancer(**create("inner", listener("TCP", port, port)))
        expect("load balancers here", shown(here), {"web": [port]})
        expect("load balancers there", shown(there), {"web": [port], "inner": [port]})
        expect("load balancers elsewhere", shown(boto(stage, "ap-south-1")), {})
        here.delete_load_balancer(**web())
        expect("load balancers here", shown(here), {})
        expect("who answers there", answers(other, port), {second})
        states = there.describe_instance_health(**web())["InstanceStates"]
        came = [(state["InstanceId"], state["State"]) for state in states]
        expect("health there", came, [(second, "InService")])


def asking_again_for_the_same_is_no_mistake(program):
    port = free_port()
    with Stage(program, ports=[port]) as stage:
        elb = boto(stage)
        first, _ = stage.backends
        address = serve(elb, "web", port, first)
        same = listener("HTTP", port, port)
        again = elb.create_load_balancer(**create("web", same))
        expect("the address", again["DNSName"], address)
        elb.create_load_balancer_listeners(**web(Listeners=[same]))
        elb.register_instances_with_load_balancer(**web(Instances=instances(first)))
        elb.enable_availability_zones_for_load_balancer(**web(**ZONES))
        expect("load balancers", shown(elb), {"web": [port]})
        expect("who answers", answers(address, port), {first})
        for _ in range(2):
            elb.delete_load_balancer(**web())


PROMISES = [
    a_load_balancer_listens_when_it_is_made_and_not_when_it_is_deleted,
    two_load_balancers_share_a_port_and_nothing_else,
    requests_go_to_those_that_are_registered,
    listeners_come_and_go_while_others_serve,
    what_cannot_be_leaves_nothing_half_done,
    a_region_is_a_namespace_of_its_own,
    asking_again_for_the_same_is_no_mistake,
]
