// The page "Load Balancers".

import { v1 } from "./api.js";
import { badge, button, element, table } from "./dom.js";
import { listenerWords, loadBalancers, stickinessWords } from "./model.js";

/** The ports, and below each whether it is sticky. */
function ports(loadBalancer) {
    return loadBalancer.listeners.map((listener) =>
        element(
            "div",
            { class: "port" },
            listenerWords(listener),
            element(
                "div",
                { class: "hint" },
                "Stickiness: ",
                stickinessWords(loadBalancer, listener),
            ),
        ),
    );
}

function inService(status) {
    if (!status) return "–";
    const { instances_in_service: some, instances: all } = status;
    return badge(some > 0 && some === all, `${some} of ${all} in service`);
}

export async function showList(refresh) {
    const [all, status] = await Promise.all([loadBalancers(), v1("GET", "status")]);
    const known = new Map(status.load_balancers.map((row) => [row.name, row]));
    const rows = all.map((loadBalancer) => [
        element(
            "a",
            { href: `#/load-balancers/${encodeURIComponent(loadBalancer.name)}` },
            loadBalancer.name,
        ),
        loadBalancer.dnsName,
        ports(loadBalancer),
        inService(known.get(loadBalancer.name)),
    ]);
    return element(
        "section",
        {},
        element(
            "div",
            { class: "heading" },
            element("h1", { tabindex: "-1" }, "Load Balancers"),
            button("Refresh", "refresh", refresh),
        ),
        table(
            "Load balancers",
            ["Name", "DNS name", "Port configuration", "Instances"],
            rows,
            "There is no load balancer yet. aws elb create-load-balancer makes one, or the configuration file.",
        ),
    );
}
