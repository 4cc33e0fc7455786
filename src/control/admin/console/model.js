// Load balancers as the ELB API describes them, and what their policies mean.

import { act, child, members, text } from "./api.js";

const names = (node, list) => members(node, list).map((member) => member.textContent);

function readListener(node) {
    const listener = child(node, "Listener");
    return {
        port: Number(text(listener, "LoadBalancerPort")),
        protocol: text(listener, "Protocol"),
        instancePort: Number(text(listener, "InstancePort")),
        instanceProtocol: text(listener, "InstanceProtocol"),
        certificate: text(listener, "SSLCertificateId"),
        policies: names(node, "PolicyNames"),
    };
}

/** Stickiness policies in one shape: `value` is the period in seconds, empty for the browser
 * session, or the name of the application's cookie. */
function readStickiness(node) {
    const policies = child(node, "Policies");
    const period = (member) => text(member, "CookieExpirationPeriod").replace(/^0$/, "");
    const duration = members(policies, "LBCookieStickinessPolicies").map((member) => ({
        kind: "duration",
        name: text(member, "PolicyName"),
        value: period(member),
    }));
    const application = members(policies, "AppCookieStickinessPolicies").map((member) => ({
        kind: "application",
        name: text(member, "PolicyName"),
        value: text(member, "CookieName"),
    }));
    return [...duration, ...application];
}

function readLoadBalancer(node) {
    const check = child(node, "HealthCheck");
    return {
        name: text(node, "LoadBalancerName"),
        dnsName: text(node, "DNSName"),
        scheme: text(node, "Scheme"),
        created: text(node, "CreatedTime"),
        zones: names(node, "AvailabilityZones"),
        subnets: names(node, "Subnets"),
        securityGroups: names(node, "SecurityGroups"),
        instances: members(node, "Instances").map((member) => text(member, "InstanceId")),
        listeners: members(node, "ListenerDescriptions").map(readListener),
        stickiness: readStickiness(node),
        healthCheck: {
            target: text(check, "Target"),
            interval: text(check, "Interval"),
            timeout: text(check, "Timeout"),
            unhealthy: text(check, "UnhealthyThreshold"),
            healthy: text(check, "HealthyThreshold"),
        },
    };
}

/** All load balancers of the region, page by page. */
export async function loadBalancers() {
    const all = [];
    let marker;
    do {
        const page = await act("DescribeLoadBalancers", { Marker: marker });
        all.push(...members(page, "LoadBalancerDescriptions").map(readLoadBalancer));
        marker = text(page, "NextMarker") || undefined;
    } while (marker);
    return all;
}

export async function loadBalancer(name) {
    const result = await act("DescribeLoadBalancers", { LoadBalancerNames: [name] });
    return readLoadBalancer(members(result, "LoadBalancerDescriptions")[0]);
}

/** The stickiness policy that is in force at a listener, or `undefined`. */
export function stickinessOf(loadBalancer, listener) {
    return loadBalancer.stickiness.find((policy) => listener.policies.includes(policy.name));
}

/** Only requests have cookies. */
export function canStick(listener) {
    return listener.protocol === "HTTP" || listener.protocol === "HTTPS";
}

export function stickinessWords(loadBalancer, listener) {
    if (!canStick(listener)) return "Only for HTTP and HTTPS";
    const policy = stickinessOf(loadBalancer, listener);
    if (!policy) return "Disabled";
    if (policy.kind === "application") return `Application generated cookie ${policy.value}`;
    return policy.value
        ? `Load balancer generated cookie, expires after ${policy.value} seconds`
        : "Load balancer generated cookie, until the browser session ends";
}

export function listenerWords(listener) {
    const instances = `${listener.instancePort} (${listener.instanceProtocol})`;
    return `${listener.port} (${listener.protocol}) → ${instances}`;
}
