"""Every action of the service through boto3, the codes that it refuses with, its pages, and the
three things to wait for.
"""

from botocore.exceptions import ClientError

from clients import boto, expect
from stage import CERTIFICATE, INSTANCES, Stage, free_port
from words import CHECK, create, instances, journey, listener, of_listener, policy, refusals, web


def every_action_of_the_service_is_answered(program):
    port, secure = free_port(), free_port()
    with Stage(program, ports=[port]) as stage:
        elb = boto(stage)
        names = elb.meta.method_to_api_mapping
        asked = set()
        for method, words in journey(port, secure):
            answer = getattr(elb, method)(**words)["ResponseMetadata"]
            expect(f"status of {method}", answer["HTTPStatusCode"], 200)
            expect(f"length of {method}'s request id", len(answer["RequestId"]), 36)
            asked.add(names[method])
        expect("actions", asked, set(elb.meta.service_model.operation_names))
        expect("load balancers at the end", known(elb), ([], [], []))


def a_refusal_has_its_code_and_status_and_changes_nothing(program):
    port, secure, tcp = free_port(), free_port(), free_port()
    with Stage(program, ports=[port]) as stage:
        elb = boto(stage)
        https = listener("HTTPS", secure, port, SSLCertificateId=CERTIFICATE)
        three = [listener("HTTP", port, port), https, listener("TCP", tcp, port)]
        elb.create_load_balancer(**create("web", *three))
        elb.create_lb_cookie_stickiness_policy(**web(PolicyName="lb"))
        elb.create_app_cookie_stickiness_policy(**web(PolicyName="app", CookieName="id"))
        proxy = policy("proxy", "ProxyProtocolPolicyType", ProxyProtocol="true")
        elb.create_load_balancer_policy(**proxy)
        elb.set_load_balancer_policies_of_listener(**of_listener(port, "lb"))
        before = known(elb)
        for method, cases in refusals(port, secure, tcp).items():
            for code, words in cases:
                status = 409 if code == "InvalidConfigurationRequest" else 400
                expect(f"{method} {words}", refusal(elb, method, words), (code, status))
        policies_have_a_bound(elb)
        expect("what is known after all that was refused", known(elb), before)


def policies_have_a_bound(elb):
    """As many policies as there may be, and one more, and none of them again."""
    names = [f"p{number}" for number in range(200)]
    method = "create_lb_cookie_stickiness_policy"
    refused = (refusal(elb, method, web(PolicyName=name)) for name in names)
    expect("one policy too many", next(filter(None, refused)), ("TooManyPolicies", 400))
    for name in names:
        elb.delete_load_balancer_policy(**web(PolicyName=name))


def refusal(elb, method, words):
    """Code and status of what was refused; `None` if it was not."""
    try:
        getattr(elb, method)(**words)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    return None


def known(elb):
    """All that the API tells of its load balancers."""
    answer = elb.describe_load_balancers()["LoadBalancerDescriptions"]
    names = [one["LoadBalancerName"] for one in answer]
    tags = elb.describe_tags(LoadBalancerNames=names)["TagDescriptions"] if names else []
    more = [
        ask(LoadBalancerName=name)[key]
        for name in names
        for ask, key in [
            (elb.describe_load_balancer_attributes, "LoadBalancerAttributes"),
            (elb.describe_load_balancer_policies, "PolicyDescriptions"),
        ]
    ]
    return answer, tags, more


def the_service_of_newer_load_balancers_is_told_that_it_is_not_here(program):
    with Stage(program) as stage:
        elbv2 = boto(stage, service="elbv2")
        came = refusal(elbv2, "describe_load_balancers", {})
        expect("aws elbv2 describe-load-balancers", came, ("InvalidAction", 400))


def pages_come_one_after_the_other(program):
    port = free_port()
    names = [f"web-{number}" for number in range(5)]
    with Stage(program) as stage:
        elb = boto(stage)
        for name in names:
            elb.create_load_balancer(**create(name, listener("TCP", port, port)))
        paginator = elb.get_paginator("describe_load_balancers")
        pages = [
            [one["LoadBalancerName"] for one in page["LoadBalancerDescriptions"]]
            for page in paginator.paginate(PaginationConfig={"PageSize": 2})
        ]
        expect("pages", pages, [names[:2], names[2:4], names[4:]])


def waiting_ends_when_it_should(program):
    port = free_port()
    pace = {"WaiterConfig": {"Delay": 1, "MaxAttempts": 30}}
    one = web(Instances=instances(INSTANCES[0]))
    with Stage(program, ports=[port]) as stage:
        elb = boto(stage)
        elb.create_load_balancer(**create("web", listener("HTTP", port, port)))
        elb.configure_health_check(**web(HealthCheck={"Target": f"HTTP:{port}/"} | CHECK))
        elb.register_instances_with_load_balancer(**one)
        elb.get_waiter("any_instance_in_service").wait(**web(), **pace)
        elb.get_waiter("instance_in_service").wait(**one, **pace)
        states = elb.describe_instance_health(**web())["InstanceStates"]
        in_service = {"State": "InService", "ReasonCode": "N/A", "Description": "N/A"}
        expect("its health", states, [{"InstanceId": INSTANCES[0]} | in_service])
        elb.deregister_instances_from_load_balancer(**one)
        elb.get_waiter("instance_deregistered").wait(**one, **pace)
        states = elb.describe_instance_health(**one)["InstanceStates"]
        expect("its state", [state["State"] for state in states], ["OutOfService"])


PROMISES = [
    every_action_of_the_service_is_answered,
    a_refusal_has_its_code_and_status_and_changes_nothing,
    the_service_of_newer_load_balancers_is_told_that_it_is_not_here,
    pages_come_one_after_the_other,
    waiting_ends_when_it_should,
]
