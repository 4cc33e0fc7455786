// The tab "Monitoring": what was counted since elbow began.

import { v1 } from "./api.js";
import { badge, element, facts, heading, table } from "./dom.js";

const number = (value) => value.toLocaleString();

export async function showMonitoring(loadBalancer) {
    const [status, backends] = await Promise.all([
        v1("GET", "status"),
        v1("GET", `backends?load_balancer=${encodeURIComponent(loadBalancer.name)}`),
    ]);
    const row = status.load_balancers.find((other) => other.name === loadBalancer.name);
    const rows = backends.map((backend) => [
        backend.backend,
        badge(backend.health === "in-service", backend.health),
        number(backend.sessions),
        number(backend.outstanding),
        number(backend.weight),
        backend.draining ?? "–",
    ]);
    return [
        heading("Monitoring"),
        row
            ? facts([
                  ["Instances in service", `${row.instances_in_service} of ${row.instances}`],
                  ["Sessions, about", number(row.sessions)],
                  ["Running now", number(row.outstanding)],
                  ["Requests", number(row.requests)],
                  ["Relayed connections", number(row.relays)],
                  ["5xx by elbow", number(row.elbow_5xx)],
                  ["5xx by instances", number(row.backend_5xx)],
              ])
            : element("p", {}, "Nothing is counted yet."),
        heading("Instances"),
        table(
            "Instances",
            ["Instance ID", "Health", "Sessions", "Running now", "Weight", "Draining"],
            rows,
            "No instance is registered.",
        ),
        element(
            "p",
            { class: "hint" },
            "Counts since elbow began; all of them are at ",
            element("a", { href: "/metrics" }, "/metrics"),
            ".",
        ),
    ];
}
