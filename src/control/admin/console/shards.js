// The page "Shards": the threads that do the work, and the process that they are of.

import { v1 } from "./api.js";
import { element, facts, heading } from "./dom.js";
import { chart } from "./chart.js";
import { watch } from "./live.js";
import { bar, steadyTable } from "./steady.js";
import { lapse, number, rate } from "./words.js";

const HEADINGS = [
    "Shard",
    "Core",
    "CPU",
    "Connections",
    "Sessions",
    "Accepted/s",
    "Late sweeps in two minutes",
];

const percent = (value) => `${rate(value)} %`;

function lateSweeps(moments, shard) {
    const rows = moments.flatMap((moment) => moment.shards);
    const late = rows.filter((row) => row.shard === shard).map((row) => row.sweeps_late);
    return late.reduce((sum, value) => sum + value, 0);
}

function shards() {
    const rows = steadyTable("Shards", HEADINGS, "There is no shard.");
    function update(moments) {
        rows.update(
            moments
                .at(-1)
                .shards.map((shard) => [
                    `Shard ${shard.shard}`,
                    shard.core === null ? "any" : String(shard.core),
                    bar(percent(shard.cpu_percent), shard.cpu_percent, 100),
                    number(shard.connections),
                    number(shard.sessions),
                    rate(shard.accepted_per_second),
                    number(lateSweeps(moments, shard.shard)),
                ]),
        );
    }
    return { node: rows.node, update };
}

/** The busiest shard and all of them on average. */
function cpu() {
    return chart({
        title: "CPU of the shards in percent",
        series: [
            ["busiest", "red"],
            ["average", "blue dashed"],
        ],
        pick: ({ shards: all }) => {
            const values = all.map((shard) => shard.cpu_percent);
            const sum = values.reduce((a, b) => a + b, 0);
            return values.length > 0 ? [Math.max(...values), sum / values.length] : undefined;
        },
        words: percent,
    });
}

function connections() {
    const sum = (all, key) => all.reduce((total, shard) => total + shard[key], 0);
    return chart({
        title: "Connections of clients",
        series: [
            ["open", "blue"],
            ["accepted per second", "green dashed"],
        ],
        pick: ({ shards: all }) => [sum(all, "connections"), sum(all, "accepted_per_second")],
        words: rate,
    });
}

export async function showShards() {
    const status = await v1("GET", "status");
    const [rows, ...pictures] = [shards(), cpu(), connections()];
    const [epoch, phase] = [element("span", {}, "–"), element("span", {}, status.phase)];
    const line = watch("", (moments) => {
        const now = moments.at(-1);
        rows.update(moments);
        pictures.forEach((picture) => picture.update(moments));
        epoch.textContent = number(now.epoch);
        phase.textContent = now.phase;
    });
    return element(
        "section",
        {},
        element("div", { class: "heading" }, element("h1", { tabindex: "-1" }, "Shards")),
        line,
        rows.node,
        heading("Load"),
        element(
            "div",
            { class: "charts" },
            pictures.map((picture) => picture.node),
        ),
        heading("Process"),
        facts([
            ["Version", status.version],
            ["Phase", phase],
            ["Driver", status.driver],
            ["Running for", lapse(status.uptime_seconds)],
            ["Epoch of its state", epoch],
            ["Region", status.region],
            ["Configuration file", status.config_file ?? "none"],
            ["State directory", status.state_dir ?? "none: changes last until it ends"],
        ]),
    );
}
