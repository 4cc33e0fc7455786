// How a load balancer is made, and how it is deleted.

import { act } from "./api.js";
import { announce, button, element } from "./dom.js";
import { openDialog, required, textField } from "./form.js";
import { listenerFields } from "./listeners.js";
import { listenerWords } from "./model.js";

/** As the ELB API wants it: an error at the field says so before elbow does. */
function nameProblem(value) {
    return /^[a-zA-Z0-9]([a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?$/.test(value)
        ? undefined
        : "Enter up to 32 letters, digits and hyphens; no hyphen first or last.";
}

function create(region, changed) {
    const name = textField({
        label: "Load Balancer name",
        check: nameProblem,
        about: /loadBalancerName|load balancer name/i,
    });
    const zone = textField({
        label: "Availability zone",
        hint: "It is kept and shown, and has no effect.",
        value: `${region}a`,
        check: required("the name of a zone"),
        about: /zone/i,
    });
    const listener = listenerFields({ port: "80", instancePort: "80" });
    const fields = [name, zone, ...listener.fields];
    openDialog({
        title: "Create load balancer",
        content: element(
            "div",
            { class: "columns" },
            fields.map((field) => field.node),
        ),
        fields,
        action: "Create",
        save: () =>
            act("CreateLoadBalancer", {
                LoadBalancerName: name.value,
                AvailabilityZones: [zone.value],
                Listeners: [listener.value()],
            }),
        done: `${name.value} is created.`,
        changed,
    });
}

export function createButton(region, changed) {
    return button("Create load balancer", "create", () => create(region, changed), {
        class: "changes",
    });
}

/** Goes to the list, and says there what was done. */
function leave(name) {
    const say = () => announce(`${name} is deleted.`);
    addEventListener("hashchange", say, { once: true });
    location.hash = "#/load-balancers";
}

function remove(loadBalancer) {
    const { name, listeners, instances } = loadBalancer;
    const ends = [
        ...listeners.map((listener) => `Its listener ${listenerWords(listener)} closes.`),
        instances.length > 0 && `Its instances go on running without it: ${instances.join(", ")}.`,
        "Its policies, attributes, tags and sessions are gone. This cannot be undone.",
    ];
    openDialog({
        title: `Delete ${name}?`,
        content: element(
            "ul",
            {},
            ends.filter(Boolean).map((words) => element("li", {}, words)),
        ),
        action: "Delete",
        danger: true,
        save: () => act("DeleteLoadBalancer", { LoadBalancerName: name }),
        changed: () => leave(name),
    });
}

export function deleteButton(loadBalancer) {
    return button("Delete load balancer", "delete-load-balancer", () => remove(loadBalancer), {
        class: "changes",
    });
}
