// Tables and bars of numbers that change each second.

import { element, table } from "./dom.js";

/** A table whose elements stay while what they say changes, so that whoever reads it, or has the
 * focus in it, stays where they are. A row is a list of cells, the first of which names it. */
export function steadyTable(caption, headings, empty) {
    const node = element("div", { class: "steady" });
    let names;
    function update(rows) {
        const now = JSON.stringify(rows.map(([name]) => name));
        if (now !== names) {
            names = now;
            node.replaceChildren(table(caption, headings, rows, empty));
            return;
        }
        const places = node.querySelectorAll("tbody tr");
        rows.forEach(([, ...cells], row) => {
            places[row].querySelectorAll("td > div").forEach((place, column) => {
                put(place, [cells[column]].flat());
            });
        });
    }
    return { node, update };
}

/** Puts contents where they are not there already. */
export function put(place, contents) {
    const wanted = element("div", {}, contents);
    if (wanted.childNodes.length !== place.childNodes.length) {
        place.replaceChildren(...wanted.childNodes);
        return;
    }
    [...wanted.childNodes].forEach((child, index) => {
        const old = place.childNodes[index];
        if (!old.isEqualNode(child)) old.replaceWith(child);
    });
}

/** A number with a bar as long as its part of `highest`. */
export function bar(words, value, highest, kind = "") {
    const inner = element("i", { class: kind });
    inner.style.width = `${highest > 0 ? (100 * Math.min(value, highest)) / highest : 0}%`;
    return element(
        "div",
        { class: "measure" },
        element("span", {}, words),
        element("span", { class: "bar", "aria-hidden": "true" }, inner),
    );
}
