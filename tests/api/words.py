"""What boto3's methods are called with: the words of requests, and two lists of them.

Nothing is asked here. `web` is the load balancer that most of it is about.
"""

from stage import CERTIFICATE, INSTANCES, free_port

ZONES = {"AvailabilityZones": ["us-east-1a", "us-east-1b"]}
CHECK = {"Interval": 5, "Timeout": 2, "UnhealthyThreshold": 2, "HealthyThreshold": 2}


def web(**more):
    return {"LoadBalancerName": "web"} | more


def none(**more):
    return {"LoadBalancerName": "none"} | more


def listener(protocol, port, instance_port, **more):
    return {"Protocol": protocol, "LoadBalancerPort": port, "InstancePort": instance_port} | more


def create(name, *listeners, **more):
    """A load balancer in zones, if nothing else is said."""
    return {"LoadBalancerName": name, "Listeners": list(listeners)} | (more or ZONES)


def instances(*ids):
    return [{"InstanceId": name} for name in ids]


def tags(**pairs):
    return [{"Key": key, "Value": value} for key, value in pairs.items()]


def policy(name, kind, **attributes):
    pairs = attributes.items()
    listed = [{"AttributeName": key, "AttributeValue": text} for key, text in pairs]
    return web(PolicyName=name, PolicyTypeName=kind, PolicyAttributes=listed)


def of_listener(port, *names):
    return web(LoadBalancerPort=port, PolicyNames=list(names))


def of_backend(port, *names):
    return web(InstancePort=port, PolicyNames=list(names))


def journey(port, secure):
    """Each action once or more, in an order in which all of them can be carried out."""
    http, tcp = listener("HTTP", port, port), listener("TCP", port, port)
    https = listener("HTTPS", secure, port, SSLCertificateId=CERTIFICATE)
    subnets = {"Subnets": ["subnet-a"], "Scheme": "internal"}
    inner = {"LoadBalancerName": "inner"}
    zone = {"AvailabilityZones": ["us-east-1c"]}
    one = {"Instances": instances(INSTANCES[0])}
    check = {"Target": f"TCP:{port}"} | CHECK
    idle = {"ConnectionSettings": {"IdleTimeout": 30}}
    drain = {"ConnectionDraining": {"Enabled": True, "Timeout": 1}}
    proxy = policy("proxy", "ProxyProtocolPolicyType", ProxyProtocol="true")
    certificate = web(LoadBalancerPort=secure, SSLCertificateId=CERTIFICATE)
    department = {"LoadBalancerNames": ["web"], "Tags": tags(department="media", project="lima")}
    return [
        ("create_load_balancer", create("web", http)),
        ("create_load_balancer", create("inner", tcp, **subnets)),
        ("create_load_balancer_listeners", web(Listeners=[https])),
        ("configure_health_check", web(HealthCheck=check)),
        ("register_instances_with_load_balancer", web(**one)),
        ("describe_instance_health", web()),
        ("create_lb_cookie_stickiness_policy", web(PolicyName="lb")),
        ("create_app_cookie_stickiness_policy", web(PolicyName="app", CookieName="id")),
        ("create_load_balancer_policy", proxy),
        ("set_load_balancer_policies_of_listener", of_listener(secure, "app")),
        ("set_load_balancer_policies_for_backend_server", of_backend(port, "proxy")),
        ("set_load_balancer_policies_for_backend_server", of_backend(port)),
        ("delete_load_balancer_policy", web(PolicyName="proxy")),
        ("describe_load_balancer_policies", web()),
        ("describe_load_balancer_policies", {}),
        ("describe_load_balancer_policy_types", {}),
        ("set_load_balancer_listener_ssl_certificate", certificate),
        ("modify_load_balancer_attributes", web(LoadBalancerAttributes=idle | drain)),
        ("describe_load_balancer_attributes", web()),
        ("add_tags", department),
        ("describe_tags", {"LoadBalancerNames": ["web", "inner"]}),
        ("remove_tags", {"LoadBalancerNames": ["web"], "Tags": [{"Key": "project"}]}),
        ("describe_load_balancers", {}),
        ("describe_account_limits", {}),
        ("enable_availability_zones_for_load_balancer", web(**zone)),
        ("disable_availability_zones_for_load_balancer", web(**zone)),
        ("attach_load_balancer_to_subnets", inner | {"Subnets": ["subnet-b"]}),
        ("detach_load_balancer_from_subnets", inner | {"Subnets": ["subnet-a"]}),
        ("apply_security_groups_to_load_balancer", inner | {"SecurityGroups": ["sg-1"]}),
        ("deregister_instances_from_load_balancer", web(**one)),
        ("delete_load_balancer_listeners", web(LoadBalancerPorts=[secure])),
        ("delete_load_balancer", web()),
        ("delete_load_balancer", inner),
        ("delete_load_balancer", inner),
    ]


def refusals(port, secure, tcp):
    """What is refused of `web` with HTTP, HTTPS and TCP at these ports, the policies `lb`, in use
    at the first of them, `app` and `proxy`; by methods. What no client can bring about on one host
    is not here (CLB.md §2.10, §3.2, §3.3)."""
    other = free_port()
    http = listener("HTTP", other, port)
    mixed = listener("HTTP", other, 9, InstanceProtocol="TCP")
    unknown = {"SSLCertificateId": "arn:none"}
    twice = {"Tags": [{"Key": "a"}, {"Key": "a"}]}
    many = {"Tags": [{"Key": str(number)} for number in range(51)]}
    wrong_check = {"Target": "UDP:80"} | CHECK
    extra = {"AdditionalAttributes": [{"Key": "elb.unknown", "Value": "x"}]}
    idle = {"ConnectionSettings": {"IdleTimeout": 4001}}
    absent = {"Instances": instances("i-unknown")}
    both = {"Instances": instances(INSTANCES[0], "i-unknown")}
    return {
        "create_lb_cookie_stickiness_policy": [
            ("LoadBalancerNotFound", none(PolicyName="p")),
            ("DuplicatePolicyName", web(PolicyName="lb")),
            ("ValidationError", web()),
            ("ValidationError", web(PolicyName="a_b")),
            ("ValidationError", web(PolicyName="a.b")),
            ("ValidationError", web(PolicyName="p", CookieExpirationPeriod=-1)),
            ("ValidationError", web(PolicyName="p", CookieExpirationPeriod="soon")),
            ("InvalidConfigurationRequest", web(PolicyName="ELBSecurityPolicy-mine")),
        ],
        "create_app_cookie_stickiness_policy": [
            ("LoadBalancerNotFound", none(PolicyName="p", CookieName="c")),
            ("DuplicatePolicyName", web(PolicyName="lb", CookieName="c")),
            ("ValidationError", web(PolicyName="p")),
            ("InvalidConfigurationRequest", web(PolicyName="ELBSample-mine", CookieName="c")),
        ],
        "set_load_balancer_policies_of_listener": [
            ("LoadBalancerNotFound", none(LoadBalancerPort=port, PolicyNames=[])),
            ("ListenerNotFound", of_listener(other, "lb")),
            ("PolicyNotFound", of_listener(port, "unknown")),
            ("InvalidConfigurationRequest", of_listener(tcp, "lb")),
            ("InvalidConfigurationRequest", of_listener(port, "proxy")),
            ("InvalidConfigurationRequest", of_listener(port, "lb", "app")),
        ],
        "set_load_balancer_policies_for_backend_server": [
            ("PolicyNotFound", of_backend(port, "unknown")),
            ("InvalidConfigurationRequest", of_backend(other, "proxy")),
        ],
        "delete_load_balancer_policy": [
            ("LoadBalancerNotFound", none(PolicyName="lb")),
            ("InvalidConfigurationRequest", web(PolicyName="lb")),
        ],
        "create_load_balancer_policy": [("PolicyTypeNotFound", policy("p", "Sticky"))],
        "describe_load_balancer_policy_types": [
            ("PolicyTypeNotFound", {"PolicyTypeNames": ["Sticky"]}),
        ],
        "describe_load_balancer_policies": [("PolicyNotFound", web(PolicyNames=["unknown"]))],
        "create_load_balancer": [
            ("DuplicateLoadBalancerName", create("web", http)),
            ("InvalidScheme", create("new", http, **ZONES, Scheme="open")),
            ("DuplicateTagKeys", create("new", http, **ZONES, **twice)),
            ("CertificateNotFound", create("new", listener("SSL", other, port, **unknown))),
            ("ValidationError", create("-new", http)),
            ("ValidationError", create("new")),
        ],
        "create_load_balancer_listeners": [
            ("CertificateNotFound", web(Listeners=[listener("HTTPS", other, port, **unknown)])),
            ("DuplicateListener", web(Listeners=[listener("HTTP", port, 9)])),
            ("UnsupportedProtocol", web(Listeners=[listener("UDP", other, 9)])),
            ("InvalidConfigurationRequest", web(Listeners=[mixed])),
        ],
        "set_load_balancer_listener_ssl_certificate": [
            ("CertificateNotFound", web(LoadBalancerPort=secure, **unknown)),
            ("ListenerNotFound", web(LoadBalancerPort=other, SSLCertificateId=CERTIFICATE)),
            ("InvalidConfigurationRequest", web(LoadBalancerPort=tcp, SSLCertificateId="arn:a")),
        ],
        "register_instances_with_load_balancer": [("InvalidInstance", web(**both))],
        "deregister_instances_from_load_balancer": [("InvalidInstance", web(**absent))],
        "describe_instance_health": [("InvalidInstance", web(**absent))],
        "configure_health_check": [("ValidationError", web(HealthCheck=wrong_check))],
        "modify_load_balancer_attributes": [
            ("LoadBalancerAttributeNotFound", web(LoadBalancerAttributes=extra)),
            ("ValidationError", web(LoadBalancerAttributes=idle)),
        ],
        "describe_load_balancers": [
            ("LoadBalancerNotFound", {"LoadBalancerNames": ["none"]}),
            ("ValidationError", {"PageSize": 401}),
        ],
        "add_tags": [
            ("DuplicateTagKeys", {"LoadBalancerNames": ["web"]} | twice),
            ("TooManyTags", {"LoadBalancerNames": ["web"]} | many),
        ],
        "disable_availability_zones_for_load_balancer": [
            ("InvalidConfigurationRequest", web(**ZONES)),
        ],
        "attach_load_balancer_to_subnets": [
            ("InvalidConfigurationRequest", web(Subnets=["subnet-a"])),
        ],
    }
