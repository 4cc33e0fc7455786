// The tab "Instances": who is registered, how they are and why, and who is leaving.

import { act, members, text, v1 } from "./api.js";
import { badge, button, element, heading } from "./dom.js";
import { deregister, drainTable } from "./drains.js";
import { openDialog, required, textField, whole } from "./form.js";
import { watch } from "./live.js";
import { steadyTable } from "./steady.js";
import { number } from "./words.js";

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

/** Why it is not in service, for as long as it is not. */
function why({ description, reason }) {
    return description === "N/A" ? "–" : `${description} (${reason})`;
}

/** What is asked once, and again when a moment says that somebody's state is another. */
async function ask(loadBalancer) {
    const [health, backends] = await Promise.all([
        act("DescribeInstanceHealth", { LoadBalancerName: loadBalancer.name }),
        v1("GET", `backends?load_balancer=${encodeURIComponent(loadBalancer.name)}`),
    ]);
    return {
        instances: members(health, "InstanceStates").map(readHealth),
        known: new Map(backends.map((row) => [row.backend, row])),
    };
}

function row(instance, known, live, loadBalancer, refresh) {
    const { id, state } = instance;
    const now = live ?? known;
    return [
        id,
        known ? known.address + (known.port === null ? "" : `:${known.port}`) : "–",
        badge(state === "InService", state),
        why(instance),
        now ? number(now.sessions) : "–",
        now ? number(now.outstanding) : "–",
        button("Deregister", `deregister-${id}`, () => deregister(loadBalancer, id, refresh), {
            "aria-label": `Deregister ${id}`,
            class: "changes",
        }),
    ];
}

const HEADINGS = [
    "Instance ID",
    "Address",
    "Status",
    "Reason",
    "Sessions",
    "Running now",
    "Actions",
];

export async function showInstances(loadBalancer, refresh) {
    let asked = await ask(loadBalancer);
    let live = new Map();
    let states;
    const rows = steadyTable("Instances", HEADINGS, "No instance is registered.");
    const drains = drainTable(refresh);
    const leaving = element(
        "div",
        { class: "part", hidden: true },
        heading("Instances that leave"),
        drains.node,
    );
    const update = () =>
        rows.update(
            asked.instances.map((instance) => {
                const { id } = instance;
                return row(instance, asked.known.get(id), live.get(id), loadBalancer, refresh);
            }),
        );
    const line = watch(loadBalancer.name, (moments) => {
        const [now] = moments.at(-1).load_balancers;
        if (!now) return;
        const newStates = JSON.stringify(
            now.backends.map(({ backend, health, draining }) => [backend, health, draining]),
        );
        const areOthers = states !== undefined && states !== newStates;
        states = newStates;
        live = new Map(now.backends.map((backend) => [backend.backend, backend]));
        leaving.hidden = now.drains.length === 0;
        drains.update(now.drains);
        update();
        if (areOthers) {
            // If it cannot be asked, the stream says so as well.
            ask(loadBalancer).then(
                (answer) => {
                    asked = answer;
                    update();
                },
                () => {},
            );
        }
    });
    update();
    return [
        heading(
            "Instances",
            button("Register an instance", "register", () => register(loadBalancer, refresh), {
                class: "changes",
            }),
        ),
        line,
        rows.node,
        leaving,
    ];
}
