// The page "Load Balancers".

import { v1 } from "./api.js";
import { sparkline } from "./chart.js";
import { createButton } from "./create.js";
import { badge, button, element, table } from "./dom.js";
import { watch } from "./live.js";
import { listenerWords, loadBalancers, stickinessWords } from "./model.js";
import { put } from "./steady.js";
import { rate } from "./words.js";

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

function inService({ instances_in_service: some, instances: all }) {
    return badge(some > 0 && some === all, `${some} of ${all} in service`);
}

/** What is taken on in a second; relayed connections only where there are any. */
function traffic(row) {
    const { requests_per_second: requests, relays_per_second: relays } = row;
    const words = [
        (requests > 0 || relays === 0) && `${rate(requests)} requests/s`,
        relays > 0 && `${rate(relays)} connections/s`,
    ];
    return words.filter(Boolean).join(", ");
}

/** The places of a row that moments fill. */
function liveCells(name, status) {
    const row = status.load_balancers.find((other) => other.name === name);
    const service = element("div", {}, row ? inService(row) : "–");
    const words = element("div", { class: "whole" }, "–");
    const line = sparkline();
    const of = (moment) => moment.load_balancers.find((other) => other.name === name);
    function update(moments) {
        const newest = moments.at(-1);
        const now = of(newest);
        if (!now) return;
        put(service, [inService(now)]);
        words.textContent = traffic(now);
        const points = moments.map((moment) => {
            const then = of(moment);
            const value = then && then.requests_per_second + then.relays_per_second;
            return { at: moment.at_ms, value };
        });
        line.update(points, newest.at_ms);
    }
    return { service, traffic: [words, line.node], update };
}

export async function showList(refresh) {
    const [all, status] = await Promise.all([loadBalancers(), v1("GET", "status")]);
    const cells = all.map(({ name }) => liveCells(name, status));
    const rows = all.map((loadBalancer, index) => [
        element(
            "a",
            { href: `#/load-balancers/${encodeURIComponent(loadBalancer.name)}` },
            loadBalancer.name,
        ),
        element("div", { class: "address" }, loadBalancer.dnsName),
        ports(loadBalancer),
        cells[index].service,
        cells[index].traffic,
    ]);
    return element(
        "section",
        {},
        element(
            "div",
            { class: "heading" },
            element("h1", { tabindex: "-1" }, "Load Balancers"),
            element(
                "div",
                { class: "actions" },
                createButton(status.region, refresh),
                button("Refresh", "refresh", refresh),
            ),
        ),
        watch("", (moments) => cells.forEach((cell) => cell.update(moments))),
        table(
            "Load balancers",
            ["Name", "DNS name", "Port configuration", "Instances", "Traffic"],
            rows,
            "There is no load balancer yet. Create one here, by aws elb create-load-balancer or in the configuration file.",
        ),
    );
}
