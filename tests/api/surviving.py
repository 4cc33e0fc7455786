"""What was answered outlives `kill -9`; what was not is there whole or not at all."""

import os
import random
import signal
import time
from functools import partial
from itertools import takewhile

from acting import SOON, serve
from actions import known
from changes import Writer, seen
from clients import Broken, answers, boto, expect, get, within
from stage import Stage, free_port
from words import create, journey, listener, of_listener, policy

# ELBOW_TEST_KILLS=100 takes a minute and makes a thousand changes.
ROUNDS = int(os.environ.get("ELBOW_TEST_KILLS", "25"))

DEREGISTER = "deregister_instances_from_load_balancer"

# Seconds from the first change of a round to its end, at most.
ROUND_SECONDS_MAX = 0.5


def every_kind_of_change_outlives_a_kill(program):
    port, secure = free_port(), free_port()
    with Stage(program, ports=[port]) as stage:
        elb = boto(stage)
        first, second = stage.backends
        address = serve(elb, "web", port, first, second)
        # Without the load balancer that is there, and up to where all is taken back.
        _, *changes = journey(port, secure)
        for method, words in takewhile(lambda change: change[0] != DEREGISTER, changes):
            getattr(elb, method)(**words)
        elb.create_load_balancer(**create("short", listener("TCP", port, port)))
        elb.delete_load_balancer(LoadBalancerName="short")
        there = boto(stage, "eu-west-1")
        other = serve(there, "web", port, second)
        before, before_there = known(elb), known(there)

        for count in range(2):
            stage.elbow.kill()
            stage.elbow.start()
            elb, there = boto(stage), boto(stage, "eu-west-1")
            expect(f"what is known after {count + 1} kills", known(elb), before)
            expect("and in the other region", known(there), before_there)
            within(SOON, "who answers", lambda: answers(address, port), {first, second})
            came = answers(address, secure, stage.certificate)
            expect("who answers by TLS", came, {first, second})
            within(SOON, "who answers there", lambda: answers(other, port), {second})
        is_sticky(elb, address, port)


def is_sticky(elb, address, port):
    """Changes are still made after all that."""
    kind = "LBCookieStickinessPolicyType"
    elb.create_load_balancer_policy(**policy("new", kind, CookieExpirationPeriod="5"))
    elb.set_load_balancer_policies_of_listener(**of_listener(port, "new"))
    expect("cookies", "AWSELB" in get(address, port)[2], True)


def each_change_is_whole_or_absent_whenever_elbow_is_killed(program):
    seed = int(os.environ.get("ELBOW_TEST_SEED", random.randrange(1 << 32)))
    print(f"ELBOW_TEST_SEED={seed}", flush=True)
    chance = random.Random(seed)
    ports = [free_port() for _ in range(3)]
    total = 0
    with Stage(program, ports=ports) as stage:
        model, addresses = {}, {}
        for number in range(ROUNDS):
            writer = Writer(boto(stage), chance.randrange(1 << 32), model, addresses, ports)
            writer.start()
            writer.await_first_change()
            time.sleep(chance.uniform(0, ROUND_SECONDS_MAX))
            stage.elbow.kill()
            writer.join()
            if writer.refused:
                raise Broken(f"round {number}: {writer.refused}")
            stage.elbow.start()
            elb = boto(stage)
            model = settled(f"round {number}", seen(elb), writer)
            addresses = in_force(elb, model, writer.addresses)
            total += writer.count
    print(f"{total} changes were answered, {ROUNDS} kills")


def settled(what, came, writer):
    """What is there after a round, which is one of the two that may be."""
    if came in (writer.model, writer.next):
        return came
    raise Broken(
        f"{what}, after {writer.count} changes and in the middle of {writer.change}\n"
        f"  came      {came}\n  expected  {writer.model}\n  or        {writer.next}"
    )


def in_force(elb, model, addresses):
    """Each load balancer is where it was said to be and serves. Their addresses."""
    answer = elb.describe_load_balancers()["LoadBalancerDescriptions"]
    came = {one["LoadBalancerName"]: one["DNSName"] for one in answer}
    expected = {name: address for name, address in addresses.items() if name in came}
    expect("addresses", {name: came[name] for name in expected}, expected)
    for name, there in model.items():
        who = set(there["instances"]) or {503}
        for port in there["listeners"]:
            ask = partial(answers, came[name], port, requests=6)
            within(SOON, f"who answers at {name}:{port}", ask, who)
    return came


def an_edit_of_the_file_takes_the_place_of_a_change_for_good(program):
    with Stage(program) as stage:
        rest, port = stage.file.read_text(), free_port()

        def write(seconds):
            stage.file.write_text(
                f'{rest}[[load_balancer]]\nname = "web"\ninstances = []\n'
                f'[[load_balancer.listener]]\nprotocol = "HTTP"\naddress = "127.0.0.1"\n'
                f"port = {port}\ninstance_port = {port}\n"
                f"[load_balancer.attributes]\nidle_timeout = {seconds}\n"
            )

        def idle_timeout():
            answer = boto(stage).describe_load_balancer_attributes(LoadBalancerName="web")
            return answer["LoadBalancerAttributes"]["ConnectionSettings"]["IdleTimeout"]

        def start_again():
            stage.elbow.kill()
            stage.elbow.start()
            return idle_timeout()

        def change(seconds):
            wanted = {"ConnectionSettings": {"IdleTimeout": seconds}}
            boto(stage).modify_load_balancer_attributes(
                LoadBalancerName="web", LoadBalancerAttributes=wanted
            )
            expect("what the API changed", start_again(), seconds)

        write(60)
        expect("as the file has it", start_again(), 60)
        change(100)
        # While it runs.
        write(61)
        stage.elbow.process.send_signal(signal.SIGHUP)
        within(SOON, "as the edited file has it", idle_timeout, 61)
        write(60)
        expect("as the file has it again", start_again(), 60)
        # While it does not.
        change(101)
        stage.elbow.kill()
        write(62)
        expect("as the edited file has it", start_again(), 62)
        write(60)
        expect("as the file has it again", start_again(), 60)


PROMISES = [
    an_edit_of_the_file_takes_the_place_of_a_change_for_good,
    every_kind_of_change_outlives_a_kill,
    each_change_is_whole_or_absent_whenever_elbow_is_killed,
]
