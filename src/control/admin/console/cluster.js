// The page "Cluster": the nodes as the one that is asked sees them, and what they are not at one
// about.

import { v1 } from "./api.js";
import { badge, element, heading } from "./dom.js";
import { watch } from "./live.js";
import { put, steadyTable } from "./steady.js";
import { lapse, number } from "./words.js";

function state(node) {
    if (node.state === "draining") return "Draining";
    if (node.state === "catching-up") return "Catching up";
    if (node.state === "ready") return badge(true, "Ready");
    return badge(false, `Lost for ${lapse(node.lost_seconds ?? 0)}`);
}

/** What it knows, beside what the node knows that is asked. */
function knows(node) {
    if (!node.live || node.differs_in === null) return "–";
    if (node.differs_in.length === 0) return "The same";
    return `Other ${node.differs_in.join(" and ")} for ${lapse(node.differs_seconds ?? 0)}`;
}

function nodes() {
    const headings = ["Node", "Address", "State", "Knows", "Version", "Epoch", "Running for"];
    const rows = steadyTable("Nodes", headings, "There is no node.");
    const update = (cluster) =>
        rows.update(
            cluster.nodes.map((node) => [
                node.name === cluster.node ? `${node.name} (this one)` : node.name,
                node.address ?? "–",
                state(node),
                knows(node),
                node.version ?? "–",
                node.epoch === null ? "–" : number(node.epoch),
                node.live ? lapse((Date.now() - node.started_ms) / 1000) : "–",
            ]),
        );
    return { node: rows.node, update };
}

function disputes() {
    const headings = ["Instance ID", "Load balancer", "For the cluster", "Well for", "Failed for"];
    const rows = steadyTable("Disputes", headings, "All nodes find the same of every instance.");
    const update = (cluster) =>
        rows.update(
            cluster.disputes.map((dispute) => [
                dispute.instance,
                dispute.load_balancer,
                badge(dispute.lives, dispute.lives ? "Lives" : "Dead"),
                dispute.well.join(", "),
                dispute.failed.join(", "),
            ]),
        );
    return { node: rows.node, update };
}

function waiting() {
    const headings = ["Change of", "Made by", "Waits for", "Why"];
    const empty = "All changes of other nodes are in force on this one.";
    const rows = steadyTable("Changes that wait", headings, empty);
    const update = (cluster) =>
        rows.update(
            cluster.waiting.map((change) => [
                change.thing,
                change.node,
                lapse(change.waiting_seconds),
                change.why,
            ]),
        );
    return { node: rows.node, update };
}

function conflicts() {
    const headings = ["Change of", "When", "What happened", "Kept is that of"];
    const rows = steadyTable("Conflicts", headings, "No change of this node was replaced.");
    const update = (cluster) =>
        rows.update(
            cluster.conflicts.toReversed().map((conflict) => [
                conflict.thing,
                `${lapse((Date.now() - conflict.at_ms) / 1000)} ago`,
                conflict.what,
                conflict.kept_from,
            ]),
        );
    return { node: rows.node, update };
}

/** Whether those that live are enough; said aloud when that changes. */
function quorum() {
    const node = element("p", { role: "status" });
    function update({ live, known, quorum: isEnough }) {
        const words = `${live} of ${known} nodes live: `;
        const rest = isEnough
            ? badge(true, "enough to decide for all")
            : badge(false, "too few to declare an instance dead for all");
        put(node, [words, rest]);
    }
    return { node, update };
}

export async function showCluster() {
    const first = await v1("GET", "cluster");
    const title = element("h1", { tabindex: "-1" }, "Cluster");
    if (!first.enabled) {
        const words = "There is no cluster: the configuration file has no [cluster].";
        return element("section", {}, title, element("p", { class: "empty" }, words));
    }
    const parts = [quorum(), nodes(), disputes(), waiting(), conflicts()];
    const update = (cluster) => parts.forEach((part) => part.update(cluster));
    let isAsking = false;
    update(first);
    const line = watch("", async () => {
        if (isAsking) return;
        isAsking = true;
        // The line says it when elbow does not answer.
        await v1("GET", "cluster").then(update, () => {});
        isAsking = false;
    });
    const [enough, all, ...rest] = parts.map((part) => part.node);
    const titles = ["Disputes", "Changes that wait", "Conflicts"];
    return element(
        "section",
        {},
        element("div", { class: "heading" }, title),
        line,
        enough,
        all,
        titles.flatMap((text, index) => [heading(text), rest[index]]),
    );
}
