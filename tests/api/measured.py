"""/metrics is what a strict reader of OpenMetrics takes, and what tuning/ asks for is there."""

import json
import re
import urllib.request
from pathlib import Path

import promql_parser
import yaml
from acting import SOON, serve
from clients import Broken, answers, boto, expect, get, within
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from promql_parser import MatchOp, VectorSelector
from stage import Stage, free_port
from words import create, instances, listener, web

TUNING = Path(__file__).parents[2] / "tuning"

# Requests that the stage has to count, at the least.
REQUESTS = 20

# What Grafana puts in before it asks.
VARIABLE = re.compile(r"\$(__rate_interval|load_balancer)")

# Labels that Prometheus adds, and the one of histograms.
GIVEN_LABELS = {"job", "instance", "le"}

# What the names of a family's samples end in, by its type.
ENDINGS = {
    "counter": ["_total"],
    "gauge": [""],
    "histogram": ["_bucket", "_count", "_sum"],
    "info": ["_info"],
}


class Busy(Stage):
    """One that has something to count: load balancers for HTTP and TCP, and an instance that does
    not answer."""

    def __init__(self, program):
        http, tcp = free_port(), free_port()
        super().__init__(program, ports=[http, tcp])
        well, ill = self.backends
        self.backends[ill].end()
        elb = boto(self)
        address = serve(elb, "web", http, well)
        elb.register_instances_with_load_balancer(**web(Instances=instances(ill)))
        for _ in range(REQUESTS):
            get(address, http)
        raw = elb.create_load_balancer(**create("raw", listener("TCP", tcp, tcp)))["DNSName"]
        here = {"LoadBalancerName": "raw"}
        elb.register_instances_with_load_balancer(**here, Instances=instances(well))
        within(SOON, "who answers", lambda: who_answers(raw, tcp), {well})

    def families(self):
        """What the parser makes of it. It refuses what is not well formed: a family or a sample
        that comes twice, a counter without its ending, buckets that do not add up."""
        with urllib.request.urlopen(self.url + "/metrics") as answer:
            kind, text = answer.headers["Content-Type"], answer.read().decode()
        expect("type", kind, "application/openmetrics-text; version=1.0.0; charset=utf-8")
        return list(text_string_to_metric_families(text))

    def samples(self):
        """All of them, by name."""
        by_name = {}
        for family in self.families():
            for sample in family.samples:
                by_name.setdefault(sample.name, []).append(sample)
        return by_name


def who_answers(address, port):
    """Nobody, where the connection is reset, as it is while no instance is in service."""
    try:
        return answers(address, port, requests=1)
    except ConnectionError:
        return set()


def metrics_are_well_formed_and_explained(program):
    with Busy(program) as stage:
        families = stage.families()
        for family in families:
            expect(f"what {family.name} begins with", family.name[:6], "elbow_")
            expect(f"whether {family.name} is explained", bool(family.documentation), True)
            names = {family.name + ending for ending in ENDINGS[family.type]}
            surplus = {sample.name for sample in family.samples} - names
            expect(f"samples of {family.name} by other names", surplus, set())
        expect("whether there are many", len(families) > 60, True)


def metrics_add_up(program):
    with Busy(program) as stage:
        samples = stage.samples()

        def total(name, **labels):
            which = (one for one in samples[name] if labels.items() <= one.labels.items())
            return sum(one.value for one in which)

        answered = total("elbow_backend_responses_total", load_balancer="web", **{"class": "2xx"})
        expect("whether requests were counted", answered >= REQUESTS, True)
        latencies = total("elbow_latency_seconds_count", load_balancer="web")
        expect("latencies of requests", latencies, answered)
        relays = total("elbow_relays_total", load_balancer="raw")
        relays -= total("elbow_relays_unserved_total", load_balancer="raw")
        latencies = total("elbow_latency_seconds_count", load_balancer="raw")
        expect("latencies of connections", latencies, relays)
        own = total("elbow_own_answers_total", load_balancer="web", status="503")
        asked = total("elbow_requests_total", load_balancer="web")
        expect("requests", asked, answered + own)
        _, ill = stage.backends
        errors = total("elbow_backend_check_connect_errors_total", backend=ill)
        expect("whether checks of a port that is closed are counted", errors > 0, True)
        expect("whether CPU time is told", total("elbow_shard_cpu_seconds_total") > 0, True)


def metrics_are_what_tuning_asks_for(program):
    with Busy(program) as stage:
        families, samples = stage.families(), stage.samples()
        there = {family.name + end for family in families for end in ENDINGS[family.type]}
        expressions = list(asked_for())
        expect("whether there are expressions", len(expressions) > 50, True)
        for where, expression in expressions:
            try:
                parsed = promql_parser.parse(VARIABLE.sub(stand_in, expression))
            except ValueError as error:
                raise Broken(f"{where}: {expression}\n{error}") from error
            promql_parser.walk(parsed, lambda node, w=where: check(w, node, there, samples))


def asked_for():
    """Where expressions are, and each of them."""
    board = json.loads((TUNING / "grafana" / "elbow.json").read_text())
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            yield f"panel {panel['title']!r}", target["expr"]
    for group in yaml.safe_load((TUNING / "alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield f"alert {rule['alert']}", rule["expr"]
    for line in (TUNING / "metrics.md").read_text().splitlines():
        if line.startswith("|"):
            for code in re.findall(r"`([^`]*elbow_[^`]*)`", line):
                yield "metrics.md", code.replace("\\|", "|")


def stand_in(variable):
    return {"__rate_interval": "5m", "load_balancer": ".*"}[variable[1]]


def check(where, node, there, samples):
    """A selector has to name a metric, labels that it has, and values that one of them has."""
    if not isinstance(node, VectorSelector):
        return
    if node.name not in there:
        raise Broken(f"{where}: there is no {node.name}")
    ours = samples.get(node.name, [])
    for matcher in node.matchers.matchers:
        values = {one.labels.get(matcher.name) for one in ours}
        if matcher.name in GIVEN_LABELS or not ours:
            continue
        if matcher.op == MatchOp.Equal:
            is_there = matcher.value in values
        elif matcher.op == MatchOp.Re:
            # Each of the alternatives, as one that is misspelt is not missed otherwise.
            words = matcher.value.split("|")
            is_there = all(any(re.fullmatch(w, v or "") for v in values) for w in words)
        else:
            is_there = None not in values
        if not is_there:
            raise Broken(f"{where}: no {node.name} has {matcher.name} like {matcher.value!r}")


PROMISES = [metrics_are_well_formed_and_explained, metrics_add_up, metrics_are_what_tuning_asks_for]
