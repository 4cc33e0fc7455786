"""/v1 is as its OpenAPI document describes it: schemathesis makes requests of it, good and bad."""

import json
import os
import random
import subprocess
import sys
import urllib.request
from pathlib import Path

from clients import Broken, boto, expect
from stage import Stage, free_port
from words import create, listener

# Beside the interpreter of the virtual environment.
SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"

# What an answer has to be. Not that what the document allows is also taken: whether a file is there
# or an instance registered, it cannot say.
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
]

# Seconds that are spent on requests, and that all of it may take.
SECONDS, PATIENCE = 30, 60


def v1(stage, method, path, body=None):
    """The status and the JSON of an answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(stage.url + path, data, method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        text = answer.read()
        return answer.status, json.loads(text) if text else None


def each_answer_of_v1_is_as_its_document_says(program):
    port = free_port()
    with Stage(program) as stage:
        # The names are those of the examples in the document.
        boto(stage).create_load_balancer(**create("web", listener("HTTP", port, port)))
        member = "/v1/load-balancers/web/instances/i-0a1b2c3d"
        status, _ = v1(stage, "PUT", member, {"address": "127.0.0.1", "port": port})
        expect("status", status, 201)
        seed = os.environ.get("ELBOW_TEST_SEED", str(random.randrange(1 << 32)))
        print(f"ELBOW_TEST_SEED={seed}", flush=True)
        command = [SCHEMATHESIS, "run", f"{stage.url}/v1/openapi.json", "--no-color"]
        # A stream of ten minutes; the browser of suite `console` reads it.
        command += ["--exclude-path", "/v1/live"]
        command += ["--checks", ",".join(CHECKS), "--max-time", str(SECONDS), "--seed", seed]
        # It keeps what it found beside it.
        done = subprocess.run(
            command, cwd=stage.directory, capture_output=True, text=True, timeout=PATIENCE
        )
        if done.returncode:
            raise Broken(f"schemathesis\n{done.stdout}\n{done.stderr}")
        print(*[line for line in done.stdout.splitlines() if " generated, " in line], flush=True)
        status, rows = v1(stage, "GET", "/v1/load-balancers")
        expect("load balancers after all that", [row["name"] for row in rows], ["web"])


def what_v1_names_aws_elb_uses(program):
    port, secure = free_port(), free_port()
    arn = "arn:aws:iam::123456789012:server-certificate/of-v1"
    with Stage(program, arns=()) as stage:
        elb = boto(stage)
        body = {"arn": arn, "certificate": str(stage.certificate)}
        status, row = v1(stage, "PUT", "/v1/certificates", body)
        expect("status and hosts", (status, row["hosts"]), (201, ["elbow.test"]))
        status, _ = v1(stage, "PUT", "/v1/instances/i-of-v1", {"address": "127.0.0.1"})
        expect("status", status, 201)
        https = listener("HTTPS", secure, port, SSLCertificateId=arn)
        elb.create_load_balancer(**create("web", listener("HTTP", port, port), https))
        named = {"LoadBalancerName": "web", "Instances": [{"InstanceId": "i-of-v1"}]}
        answer = elb.register_instances_with_load_balancer(**named)
        expect("instances", answer["Instances"], named["Instances"])
        _, rows = v1(stage, "GET", "/v1/certificates")
        expect("listeners", rows[0]["listeners"], [{"load_balancer": "web", "port": secure}])
        _, row = v1(stage, "GET", "/v1/instances/i-of-v1")
        expect("load balancers", row["load_balancers"], ["web"])


PROMISES = [what_v1_names_aws_elb_uses, each_answer_of_v1_is_as_its_document_says]
