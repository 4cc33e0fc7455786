// The tab "Instances": who is registered, how they are and why.

import { act, members, text, v1 } from "./api.js";
import { badge, button, element, heading, table } from "./dom.js";
import { openDialog, required, textField, whole } from "./form.js";

function readHealth(node) {
    return {
        id: text(node, "InstanceId"),
        state: text(node, "State"),
        reason: text(node, "ReasonCode"),
        description: text(node, "Description"),
    };
}

function register(loadBalancer, changed) {
    const id = textField({
        label: "Instance",
        hint: "An id, such as i-0a1b2c3d, or an address, such as 10.0.1.7 or 10.0.1.7:9001.",
        check: required("an instance id or an address"),
        about: /instance|\bid\b/i,
    });
    const address = textField({
        label: "Address (optional)",
        hint: "Where an id leads to that has no address yet.",
        about: /address/i,
    });
    const port = textField({
        label: "Port (optional)",
        hint: "Replaces the instance port of the listeners.",
        isNumber: true,
        check: (value) => (value === "" ? undefined : whole(1, 65535)(value)),
        about: /port/i,
    });
    const save = () => {
        if (!address.value && !port.value) {
            const instances = [{ InstanceId: id.value }];
            return act("RegisterInstancesWithLoadBalancer", {
                LoadBalancerName: loadBalancer.name,
                Instances: instances,
            });
        }
        const [of, name] = [loadBalancer.name, id.value].map(encodeURIComponent);
        return v1("PUT", `load-balancers/${of}/instances/${name}`, {
            address: address.value || undefined,
            port: port.value ? Number(port.value) : undefined,
        });
    };
    openDialog({
        title: "Register an instance",
        content: element("div", {}, id.node, address.node, port.node),
        // What elbow says names the address before the instance.
        fields: [address, port, id],
        action: "Register",
        save,
        done: "The instance is registered.",
        changed,
    });
}

function deregister(loadBalancer, id, changed) {
    openDialog({
        title: `Deregister ${id}?`,
        content: element(
            "p",
            {},
            "It gets no new requests. What runs on it may end as connection draining says.",
        ),
        action: "Deregister",
        danger: true,
        save: () =>
            act("DeregisterInstancesFromLoadBalancer", {
                LoadBalancerName: loadBalancer.name,
                Instances: [{ InstanceId: id }],
            }),
        done: `${id} is deregistered.`,
        changed,
    });
}

export async function showInstances(loadBalancer, refresh) {
    const of = encodeURIComponent(loadBalancer.name);
    const [health, backends] = await Promise.all([
        act("DescribeInstanceHealth", { LoadBalancerName: loadBalancer.name }),
        v1("GET", `backends?load_balancer=${of}`),
    ]);
    const known = new Map(backends.map((row) => [row.backend, row]));
    const rows = members(health, "InstanceStates")
        .map(readHealth)
        .map((instance) => {
            const row = known.get(instance.id);
            const why =
                instance.description === "N/A"
                    ? "–"
                    : `${instance.description} (${instance.reason})`;
            return [
                instance.id,
                row ? row.address + (row.port === null ? "" : `:${row.port}`) : "–",
                badge(instance.state === "InService", instance.state),
                why,
                row ? String(row.sessions) : "–",
                button(
                    "Deregister",
                    `deregister-${instance.id}`,
                    () => deregister(loadBalancer, instance.id, refresh),
                    { "aria-label": `Deregister ${instance.id}`, class: "changes" },
                ),
            ];
        });
    const headings = ["Instance ID", "Address", "Status", "Reason", "Sessions", "Actions"];
    return [
        heading(
            "Instances",
            button("Register an instance", "register", () => register(loadBalancer, refresh), {
                class: "changes",
            }),
        ),
        table("Instances", headings, rows, "No instance is registered."),
    ];
}
