// Where sessions went when their instances failed: a flow as wide as they were many, and the same
// as a table.

import { drawn } from "./chart.js";
import { element } from "./dom.js";
import { put, steadyTable } from "./steady.js";
import { number } from "./words.js";

/** As many instances are drawn at each side; the rest are drawn as one. */
const DRAWN_MAX = 8;

/** The drawing's own units. */
const [WIDTH, EDGE, GAP, LEAST, ROOM] = [400, 8, 10, 32, 110];

const EMPTY = "No session has moved in the last ten minutes.";

/** Moves from the same to the same instance as one. */
function pairs(moves) {
    const all = new Map();
    for (const { from, to, sessions, at_ms: at } of moves) {
        const key = JSON.stringify([from, to]);
        const pair = all.get(key) ?? { from, to, sessions: 0, at: 0 };
        pair.sessions += sessions;
        pair.at = Math.max(pair.at, at);
        all.set(key, pair);
    }
    return [...all.values()].sort((a, b) => b.sessions - a.sessions);
}

/** How many sessions an end of the pairs has, by name; the smallest together if there are many. */
function ends(all, side) {
    const sums = new Map();
    for (const pair of all) sums.set(pair[side], (sums.get(pair[side]) ?? 0) + pair.sessions);
    const names = [...sums].sort(([, a], [, b]) => b - a).map(([name]) => name);
    const shown = names.length > DRAWN_MAX ? names.slice(0, DRAWN_MAX - 1) : names;
    const rest = `${names.length - shown.length} others`;
    return (name) => (shown.includes(name) ? name : rest);
}

/** Heights and places of one side's instances, from the top. */
function stack(all, nameOf, side, total) {
    const sums = new Map();
    for (const pair of all) {
        const name = nameOf(pair[side]);
        sums.set(name, (sums.get(name) ?? 0) + pair.sessions);
    }
    let top = 0;
    return new Map(
        [...sums].map(([name, sessions]) => {
            const height = Math.max(LEAST, (ROOM * sessions) / total);
            const place = { name, sessions, top, height, used: 0 };
            top += height + GAP;
            return [name, place];
        }),
    );
}

const heightOf = (side) => Math.max(...[...side.values()].map((end) => end.top + end.height));

/** The next part of an end, for so many of its sessions. */
function part(end, sessions) {
    const top = end.top + end.used;
    end.used += (end.height * sessions) / end.sessions;
    return [top, end.top + end.used].map((y) => y.toFixed(1));
}

function link(from, to, sessions) {
    const [[a, b], [c, d]] = [part(from, sessions), part(to, sessions)];
    const [left, right, middle] = [EDGE, WIDTH - EDGE, WIDTH / 2];
    const upper = `M${left} ${a}C${middle} ${a} ${middle} ${c} ${right} ${c}`;
    const lower = `L${right} ${d}C${middle} ${d} ${middle} ${b} ${left} ${b}Z`;
    return drawn("path", { class: "link", d: upper + lower });
}

function label(end, isLeft) {
    const x = isLeft ? EDGE + 8 : WIDTH - EDGE - 8;
    const middle = end.top + end.height / 2;
    const kind = isLeft ? "" : "end";
    return [
        drawn("rect", {
            class: isLeft ? "lost" : "found",
            x: isLeft ? 0 : WIDTH - EDGE,
            y: end.top,
            width: EDGE,
            height: end.height,
        }),
        drawn("text", { x, y: middle - 3, class: `name ${kind}` }, end.name),
        drawn("text", { x, y: middle + 11, class: kind }, `${number(end.sessions)} sessions`),
    ];
}

function draw(all, total) {
    const [leftName, rightName] = [ends(all, "from"), ends(all, "to")];
    const left = stack(all, leftName, "from", total);
    const right = stack(all, rightName, "to", total);
    const links = all.map((pair) =>
        link(left.get(leftName(pair.from)), right.get(rightName(pair.to)), pair.sessions),
    );
    const labels = [left, right].map((side, index) =>
        [...side.values()].map((end) => label(end, index === 0)),
    );
    const told = all
        .slice(0, DRAWN_MAX)
        .map((pair) => `${pair.sessions} from ${pair.from} to ${pair.to}`);
    const height = Math.max(heightOf(left), heightOf(right));
    const attributes = {
        viewBox: `0 0 ${WIDTH} ${height}`,
        role: "img",
        "aria-label": `${number(total)} sessions moved: ${told.join(", ")}`,
    };
    return drawn("svg", attributes, links, labels.flat(2));
}

/** The picture beside its table; `update` takes the moves of the last ten minutes. */
export function flow() {
    const picture = element("div", { class: "card" });
    const rows = steadyTable("Sessions that moved", ["From", "To", "Sessions", "Last at"], EMPTY);
    const both = element("div", { class: "flow", hidden: true }, picture, rows.node);
    const none = element("p", { class: "empty" }, EMPTY);
    function update(moves) {
        const all = pairs(moves);
        both.hidden = all.length === 0;
        none.hidden = !both.hidden;
        if (both.hidden) return;
        const total = all.reduce((sum, pair) => sum + pair.sessions, 0);
        put(picture, [draw(all, total)]);
        rows.update(
            all.map(({ from, to, sessions, at }) => [
                from,
                to,
                number(sessions),
                new Date(at).toLocaleTimeString(),
            ]),
        );
    }
    return { node: element("div", {}, both, none), update };
}
