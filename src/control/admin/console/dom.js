// Elements made of values. What comes from elsewhere goes in as text, never as markup.

/** An element. Attributes that are `false` or missing are left out; `onclick` and the like are
 * listeners. */
export function element(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
        else if (value === true) node.setAttribute(name, "");
        else if (value !== false && value !== undefined) node.setAttribute(name, value);
    }
    node.append(...children.flat(2).filter((child) => child !== undefined));
    return node;
}

/** A button; `id` lets the focus find it again after the page around it was drawn anew. */
export function button(text, id, onclick, more = {}) {
    return element("button", { type: "button", id, onclick, ...more }, text);
}

/** A heading with what can be done about that which it stands over. */
export function heading(text, ...buttons) {
    return element("div", { class: "heading" }, element("h2", {}, text), ...buttons);
}

/** Names and values, one below the other. */
export function facts(pairs) {
    const rows = pairs.map(([name, value]) =>
        element("div", {}, element("dt", {}, name), element("dd", {}, value)),
    );
    return element("dl", {}, rows);
}

/** A table whose first cell of a row names it; `empty` is what there is to say without rows. A
 * narrow screen has the cells one below the other, and the roles keep it a table for those who
 * hear it. */
export function table(caption, headings, rows, empty) {
    if (rows.length === 0) return element("p", { class: "empty" }, empty);
    const row = (cells) => element("tr", { role: "row" }, cells);
    const head = headings.map((text) =>
        element("th", { scope: "col", role: "columnheader" }, text),
    );
    const body = rows.map(([name, ...cells]) =>
        row([
            element("th", { scope: "row", role: "rowheader" }, name),
            ...cells.map((cell, index) =>
                element(
                    "td",
                    { role: "cell", "data-label": headings[index + 1] },
                    element("div", {}, cell),
                ),
            ),
        ]),
    );
    return element(
        "table",
        { role: "table" },
        element("caption", {}, caption),
        element("thead", { role: "rowgroup" }, row(head)),
        element("tbody", { role: "rowgroup" }, body),
    );
}

/** A state with a mark, for those who do not see its colour as well. */
export function badge(isGood, text) {
    return element("span", { class: isGood ? "good" : "bad" }, isGood ? "✓ " : "✕ ", text);
}

/** For how long it is said what was done; it lies over the page. */
const SAID_MS = 10_000;

/** Says what was done, aloud where somebody listens. */
export function announce(text) {
    const status = document.getElementById("status");
    status.textContent = text;
    setTimeout(() => {
        if (status.textContent === text) status.textContent = "";
    }, SAID_MS);
}
