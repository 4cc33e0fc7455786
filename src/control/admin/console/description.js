// The tab "Description": what it is, and the stickiness of its ports.

import { element, facts, heading } from "./dom.js";
import { listenerWords, stickinessWords } from "./model.js";
import { stickinessButton } from "./stickiness.js";

const list = (values) => values.join(", ") || "–";

/** A listener, whether it is sticky, and the button to change that. */
function port(loadBalancer, listener, refresh) {
    return element(
        "div",
        { class: "card port" },
        element("p", {}, element("strong", {}, listenerWords(listener))),
        element("p", {}, "Stickiness: ", stickinessWords(loadBalancer, listener)),
        stickinessButton(loadBalancer, listener, refresh),
    );
}

export function showDescription(loadBalancer, refresh) {
    const ports = loadBalancer.listeners.map((listener) => port(loadBalancer, listener, refresh));
    return [
        heading("Basic configuration"),
        facts([
            ["Name", loadBalancer.name],
            ["DNS name", loadBalancer.dnsName || "–"],
            ["Scheme", loadBalancer.scheme],
            ["Availability zones", list(loadBalancer.zones)],
            ["Subnets", list(loadBalancer.subnets)],
            ["Security groups", list(loadBalancer.securityGroups)],
            ["Creation time", new Date(loadBalancer.created).toLocaleString()],
            ["Registered instances", String(loadBalancer.instances.length)],
        ]),
        heading("Port configuration"),
        element("div", { class: "cards" }, ports),
    ];
}
