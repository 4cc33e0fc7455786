#!/usr/bin/env python3
"""Holds requests and answers in tests/cases/elb against botocore, which is under `aws` and boto3.

Every document has to be understood to its last element, every action of the service has to have
one, and the two walk-throughs of the AWS page on sticky sessions have to give its JSON. The
requests have to be those that botocore would send. Needs botocore. Nothing is sent anywhere.
"""

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from urllib.parse import parse_qsl

import botocore.exceptions
import botocore.parsers
import botocore.serialize
import botocore.session

CASES = Path(__file__).resolve().parent.parent / "cases" / "elb"


def main():
    model = botocore.session.get_session().get_service_model("elb")
    parser = botocore.parsers.create_parser("query")
    problems = []
    seen = set()
    for path in sorted(CASES.glob("*.xml")):
        if path.name == "codes.xml":
            problems += codes(parser, model, path.read_text())
            continue
        document = path.read_bytes()
        root = ElementTree.fromstring(document)
        name = root.tag.split("}")[1].removesuffix("Response")
        if name == "Error":
            problems += failure(parser, model, document, 400, path.name)
            continue
        seen.add(name)
        problems += answer(parser, model.operation_model(name), path, root)
    for line in (CASES / "requests.txt").read_text().splitlines():
        if line and line[0] not in "#[":
            problems += request(model, dict(parse_qsl(line.split(": ")[1], True)))
    problems += [f"{name}: no answer" for name in set(model.operation_names) - seen]
    print(*problems, sep="\n", end="\n" if problems else "")
    print(f"{len(seen)} of {len(model.operation_names)} actions, {len(problems)} problems")
    return bool(problems)


def answer(parser, operation, path, root):
    """What is wrong with the answer in a file."""
    response = {"status_code": 200, "headers": {}, "body": path.read_bytes()}
    # Fails with a KeyError if the result has no element.
    parsed = parser.parse(response, operation.output_shape)
    written = root[0]
    if root[1].tag.split("}")[1] != "ResponseMetadata":
        yield f"{path.name}: no ResponseMetadata"
    if not parsed["ResponseMetadata"].pop("RequestId", None):
        yield f"{path.name}: no request id"
    del parsed["ResponseMetadata"]
    if leaves(parsed) != elements(written):
        yield f"{path.name}: {elements(written)} elements, of which {leaves(parsed)} are read"
    expected = path.with_suffix(".json")
    if expected.exists() and not contains(parsed, json.loads(expected.read_text())):
        yield f"{path.name}: does not give {expected.name}, but\n{json.dumps(parsed, default=str)}"


def request(model, form):
    """What is different in a request if botocore makes it."""
    operation = model.operation_model(form["Action"])
    parameters = values(operation.input_shape, form, "")
    serializer = botocore.serialize.create_serializer("query")
    try:
        sent = serializer.serialize_to_request(parameters, operation)["body"]
    except botocore.exceptions.ParamValidationError as error:
        yield f"requests.txt: {form}: {error}"
        return
    # botocore's own are signed by a header; in a query string these stand beside the rest.
    written = {key: text for key, text in form.items() if not key.startswith("X-Amz-")}
    written["Version"] = model.api_version
    if {key: str(value) for key, value in sent.items()} != written:
        yield f"requests.txt: {form} is sent as {sent}"


def values(shape, form, path):
    """The parameters at a path of a form, as botocore takes them."""
    if shape.type_name == "structure":
        members = {}
        for name, member in shape.members.items():
            if any(key == path + name or key.startswith(f"{path}{name}.") for key in form):
                dot = "." * (member.type_name == "structure")
                members[name] = values(member, form, path + name + dot)
        return members
    if shape.type_name == "list":
        prefix = f"{path}.member."
        numbers = {key[len(prefix) :].split(".")[0] for key in form if key.startswith(prefix)}
        structured = shape.member.type_name == "structure"
        paths = [f"{prefix}{number}{'.' * structured}" for number in sorted(numbers, key=int)]
        return [values(shape.member, form, path) for path in paths]
    text = form[path]
    if shape.type_name == "boolean":
        return text == "true"
    return int(text) if shape.type_name in ("integer", "long") else text


def codes(parser, model, text):
    """What is wrong with the documents of failures."""
    documents = re.findall(r"<!-- (\d+) -->\n(.*?</ErrorResponse>)", text, re.S)
    seen = set()
    for status, document in documents:
        seen.add(ElementTree.fromstring(document)[0][1].text)
        yield from failure(parser, model, document.encode(), int(status), "codes.xml")
    for shape in model.error_shapes:
        if shape.error_code not in seen:
            yield f"codes.xml: no {shape.error_code}"


def failure(parser, model, document, status, name):
    """What is wrong with one of them."""
    response = {"status_code": status, "headers": {}, "body": document}
    parsed = parser.parse(response, None)
    error = ElementTree.fromstring(document)[0]
    wrong = [child.tag for child in error if parsed["Error"].get(tag(child)) != child.text]
    if wrong or not parsed["ResponseMetadata"].get("RequestId"):
        yield f"{name}: {parsed}"
    expected = {shape.error_code: shape.metadata["error"] for shape in model.error_shapes}
    code = parsed["Error"]["Code"]
    if code in expected and expected[code]["httpStatusCode"] != status:
        yield f"{name}: {code} comes with {status}"


def tag(element):
    return element.tag.split("}")[1]


def elements(element):
    """The texts and empty lists in an element of XML."""
    return sum(map(elements, element)) if len(element) else int(tag(element)[-6:] != "Result")


def leaves(value):
    """The texts, numbers and empty lists in what was read."""
    if isinstance(value, dict):
        return sum(map(leaves, value.values()))
    if isinstance(value, list):
        return sum(map(leaves, value)) if value else 1
    return 1


def contains(value, part):
    """Whether `value` is `part`, perhaps with more keys; lists have to be the same length."""
    if isinstance(part, dict):
        return all(key in value and contains(value[key], part[key]) for key in part)
    if isinstance(part, list):
        return len(value) == len(part) and all(map(contains, value, part))
    return type(value) is type(part) and value == part


if __name__ == "__main__":
    sys.exit(main())
