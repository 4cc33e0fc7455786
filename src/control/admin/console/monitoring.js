// The tab "Monitoring": what happens now, and what was counted since elbow began.

import { v1 } from "./api.js";
import { chart } from "./chart.js";
import { badge, element, facts, heading } from "./dom.js";
import { drainTable } from "./drains.js";
import { flow } from "./flow.js";
import { watch } from "./live.js";
import { bar, steadyTable } from "./steady.js";
import { healthWords, number, rate } from "./words.js";

/** What a moment says of the load balancer. */
const of = (moment) => moment.load_balancers[0];

/** Kinds of answers: where in a moment, what they are called, and their colour. */
const ANSWERS = [
    ["backend_2xx", "2xx", "green"],
    ["backend_3xx", "3xx", "blue"],
    ["backend_4xx", "4xx", "amber"],
    ["backend_5xx", "5xx", "red"],
    ["elbow_4xx", "4xx by elbow", "violet"],
    ["elbow_5xx", "5xx by elbow", "grey"],
];

/** What the verdicts on requests mean, in the order in which they are shown. */
const VERDICTS = {
    valid: "The cookie's instance is in service: the request went there",
    none: "There was no cookie of stickiness, or the listener has no policy",
    moved: "That life of the cookie's instance is over: the session lives elsewhere",
    down: "The cookie's instance is out of service: the session moved",
    gone: "The cookie's instance is not registered any more: the session moved",
    expired: "The session was older than the policy allows",
    invalid: "The cookie was damaged, forged or of another load balancer",
    "app-cookie-missing": "The application's cookie was not there: its session is over",
    fallback: "The client was known without a cookie",
    strict: "The instance is out of service and the session must not move: refused",
};

const perSecond = (words) => (value) => `${rate(value)}${words}`;

function charts(loadBalancer) {
    const relays = loadBalancer.listeners.some(({ protocol }) => /^(TCP|SSL)$/.test(protocol));
    const requests = loadBalancer.listeners.some(({ protocol }) => /^HTTPS?$/.test(protocol));
    const taken = [
        requests || !relays ? ["requests_per_second", "requests", "blue"] : undefined,
        relays ? ["relays_per_second", "connections", "violet dashed"] : undefined,
    ].filter(Boolean);
    return [
        chart({
            title: requests || !relays ? "Requests per second" : "Connections per second",
            series: taken.map(([, name, kind]) => [name, kind]),
            pick: (moment) => taken.map(([key]) => of(moment)[key]),
            words: rate,
        }),
        chart({
            title: "Latency in milliseconds",
            series: [
                ["p50", "blue"],
                ["p90", "amber dashed"],
                ["p99", "red dotted"],
            ],
            pick: (moment) => {
                const latency = of(moment).latency_ms;
                return latency ? [latency.p50, latency.p90, latency.p99] : undefined;
            },
            words: perSecond(" ms"),
        }),
        chart({
            title: "Answers per second",
            series: ANSWERS.map(([, name, kind]) => [name, kind]),
            pick: (moment) => ANSWERS.map(([key]) => of(moment).answers_per_second[key]),
            words: rate,
            isStacked: true,
        }),
        chart({
            title: "Running and waiting",
            series: [
                ["running", "blue"],
                ["waiting for an instance", "red dashed"],
            ],
            pick: (moment) => [of(moment).outstanding, of(moment).waiting],
            words: number,
        }),
    ];
}

function health(backend) {
    if (backend.draining === "sessions") return badge(false, "Leaves, has sessions");
    if (backend.draining) return badge(false, "Leaves");
    return badge(backend.health === "in-service", healthWords(backend.health));
}

/** Sessions and work of each instance, as bars. */
function instances() {
    const headings = [
        "Instance ID",
        "Health",
        "Sessions",
        "Running now",
        "Requests/s",
        "Errors/s",
        "Weight",
    ];
    const rows = steadyTable("Instances now", headings, "No instance is registered.");
    function update({ backends }) {
        const highest = (key) => Math.max(...backends.map((backend) => backend[key]));
        const most = highest("sessions");
        const busiest = highest("outstanding");
        rows.update(
            backends.map((backend) => {
                const isWell = backend.health === "in-service" && !backend.draining;
                const kind = isWell ? "" : "lost";
                return [
                    backend.backend,
                    health(backend),
                    bar(number(backend.sessions), backend.sessions, most, kind),
                    bar(number(backend.outstanding), backend.outstanding, busiest, kind),
                    rate(backend.requests_per_second),
                    rate(backend.errors_per_second),
                    number(backend.weight),
                ];
            }),
        );
    }
    return { node: rows.node, update };
}

/** How requests stuck in the last two minutes. */
function verdicts() {
    const headings = ["Verdict", "Meaning", "Per second", "In two minutes"];
    const empty = "No request has come in the last two minutes.";
    const rows = steadyTable("Stickiness of requests", headings, empty);
    function update(moments) {
        const now = of(moments.at(-1)).verdicts_per_second;
        const counts = Object.keys(VERDICTS).map((name) => {
            const parts = moments.map(
                (moment) => (of(moment).verdicts_per_second[name] ?? 0) * moment.seconds,
            );
            return [name, Math.round(parts.reduce((sum, value) => sum + value, 0))];
        });
        const highest = Math.max(...counts.map(([, count]) => count));
        rows.update(
            counts
                .filter(([, count]) => count > 0)
                .map(([name, count]) => [
                    name,
                    VERDICTS[name],
                    rate(now[name] ?? 0),
                    bar(number(count), count, highest),
                ]),
        );
    }
    return { node: rows.node, update };
}

function totals(row) {
    if (!row) return element("p", { class: "empty" }, "Nothing is counted yet.");
    return facts([
        ["Instances in service", `${row.instances_in_service} of ${row.instances}`],
        ["Requests", number(row.requests)],
        ["Relayed connections", number(row.relays)],
        ["5xx by elbow", number(row.elbow_5xx)],
        ["5xx by instances", number(row.backend_5xx)],
    ]);
}

export async function showMonitoring(loadBalancer) {
    const status = await v1("GET", "status");
    const counted = status.load_balancers.find((row) => row.name === loadBalancer.name);
    const pictures = charts(loadBalancer);
    const [members, moved, stuck, drains] = [instances(), flow(), verdicts(), drainTable()];
    const line = watch(loadBalancer.name, (all) => {
        const moments = all.filter(of);
        if (moments.length === 0) return;
        const now = of(moments.at(-1));
        pictures.forEach((picture) => picture.update(moments));
        members.update(now);
        moved.update(now.moves);
        stuck.update(moments);
        drains.update(now.drains);
    });
    return [
        heading("Monitoring"),
        line,
        element(
            "div",
            { class: "charts" },
            pictures.map((picture) => picture.node),
        ),
        heading("Instances"),
        members.node,
        heading("Sessions that moved"),
        moved.node,
        heading("Stickiness of requests"),
        stuck.node,
        heading("Instances that leave"),
        drains.node,
        heading("Since elbow began"),
        totals(counted),
        element(
            "p",
            { class: "hint" },
            "All counts are at ",
            element("a", { href: "/metrics" }, "/metrics"),
            ".",
        ),
    ];
}
