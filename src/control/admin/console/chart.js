// Charts of the last two minutes: lines, or areas one upon the other. What they show is said in
// words as well: the newest values beside them, and the highest to those who hear the page.

import { element } from "./dom.js";
import { SPAN_MS } from "./live.js";

/** The drawing's own units; on the page it is as wide as there is room. */
const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [400, 150, 44, 6, 10, 20];

/** Moments further apart have a gap between them. */
const GAP_MS = 3_500;

/** SVG's namespace, as the parser of pages knows it. */
const NAMESPACE = new DOMParser()
    .parseFromString("<svg>", "text/html")
    .querySelector("svg").namespaceURI;

/** An element of SVG. */
export function drawn(tag, attributes = {}, ...children) {
    const node = document.createElementNS(NAMESPACE, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children.flat().filter((child) => child !== undefined));
    return node;
}

/** Round numbers from 0 to what `highest` fits below. */
export function ticks(highest) {
    if (highest <= 0) return [0, 1];
    const least = highest / 4;
    const power = 10 ** Math.floor(Math.log10(least));
    const step = power * [1, 2, 5, 10].find((factor) => factor * power >= least * 0.999);
    const count = Math.ceil(highest / step - 0.001);
    return Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(6)));
}

const short = new Intl.NumberFormat(undefined, { notation: "compact" });

/** The parts of a row of points between which there is no gap; a value that is not there is one. */
function runs(points) {
    const all = [];
    let last;
    for (const point of points) {
        if (point.value !== undefined) {
            if (last && point.at - last.at <= GAP_MS) all.at(-1).push(point);
            else all.push([point]);
        }
        last = point.value === undefined ? undefined : point;
    }
    return all;
}

/** Draws rows of points `{ at, from, value }`; `kinds` are their classes. */
function draw(rows, kinds, now, isStacked) {
    const values = rows.flat().map((point) => point.value ?? 0);
    const marks = ticks(Math.max(0, ...values));
    const x = (at) => (WIDTH - RIGHT - ((now - at) / SPAN_MS) * (WIDTH - LEFT - RIGHT)).toFixed(1);
    const room = HEIGHT - TOP - BOTTOM;
    const y = (value) => (HEIGHT - BOTTOM - (value / marks.at(-1)) * room).toFixed(1);
    const lines = marks.map((mark) => [
        drawn("path", { class: "grid", d: `M${LEFT} ${y(mark)}H${WIDTH - RIGHT}` }),
        drawn("text", { x: LEFT - 6, y: Number(y(mark)) + 4, class: "end" }, short.format(mark)),
    ]);
    const along = (run, key) => run.map((point) => `${x(point.at)} ${y(point[key])}`);
    const shapes = rows.flatMap((row, index) =>
        runs(row).map((run) => {
            const upper = along(run, "value").join("L");
            if (!isStacked)
                return drawn("path", { class: `line ${kinds[index]}`, d: `M${upper}h0` });
            const lower = along(run, "from").reverse().join("L");
            return drawn("path", { class: `area ${kinds[index]}`, d: `M${upper}L${lower}Z` });
        }),
    );
    const ends = [
        drawn("text", { x: LEFT, y: HEIGHT - 4 }, "2 min ago"),
        drawn("text", { x: WIDTH - RIGHT, y: HEIGHT - 4, class: "end" }, "now"),
    ];
    return [...lines.flat(), ...shapes, ...ends];
}

/** Points of each series, upon those of the one before it if they are stacked. */
function rowsOf(moments, pick, count, isStacked) {
    const rows = Array.from({ length: count }, () => []);
    for (const moment of moments) {
        const values = pick(moment);
        let from = 0;
        rows.forEach((row, index) => {
            const value = values?.[index];
            row.push({ at: moment.at_ms, from, value: isStacked && values ? from + value : value });
            if (isStacked) from += value ?? 0;
        });
    }
    return rows;
}

/** A chart. `series` are pairs of a name and a class; `pick` gives their values in a moment, or
 * `undefined` where there are none; `words` says a value. */
export function chart({ title, series, pick, words, isStacked = false }) {
    const picture = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
    const values = series.map(() => element("b", {}, "–"));
    const names = series.map(([name, kind], index) =>
        element("li", {}, element("i", { class: `mark ${kind}` }), `${name} `, values[index]),
    );
    const node = element(
        "figure",
        { class: "card chart" },
        element("figcaption", {}, element("h3", {}, title), element("ul", {}, names)),
        picture,
    );
    function update(moments) {
        const newest = moments.at(-1);
        const now = pick(newest);
        values.forEach((value, index) => {
            value.textContent = now ? words(now[index]) : "–";
        });
        const rows = rowsOf(moments, pick, series.length, isStacked);
        const kinds = series.map(([, kind]) => kind);
        picture.replaceChildren(...draw(rows, kinds, newest.at_ms, isStacked));
        const told = series.map(([name], index) => {
            const all = moments.map((moment) => pick(moment)?.[index] ?? 0);
            return `${name} ${values[index].textContent}, at most ${words(Math.max(...all))}`;
        });
        picture.setAttribute("aria-label", `${title} in the last two minutes: ${told.join("; ")}`);
    }
    picture.setAttribute("aria-label", `${title}: nothing yet`);
    return { node, update };
}

/** A line without anything around it, which says nothing that is not beside it in words. */
export function sparkline() {
    const [width, height] = [96, 22];
    const node = drawn("svg", {
        viewBox: `0 0 ${width} ${height}`,
        class: "spark",
        "aria-hidden": true,
    });
    function update(points, now) {
        const highest = Math.max(1, ...points.map(({ value }) => value ?? 0));
        const at = (point) => {
            const x = width - 1 - ((now - point.at) / SPAN_MS) * (width - 2);
            const y = height - 2 - (point.value / highest) * (height - 4);
            return `${x.toFixed(1)} ${y.toFixed(1)}`;
        };
        const lines = runs(points).map((run) =>
            drawn("path", { class: "line blue", d: `M${run.map(at).join("L")}h0` }),
        );
        node.replaceChildren(...lines);
    }
    return { node, update };
}
