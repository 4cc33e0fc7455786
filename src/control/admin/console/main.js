// Which page is shown: the part of the address behind `#` says so, and so pages can be linked to.

import { v1 } from "./api.js";
import { element } from "./dom.js";
import { showList } from "./list.js";

/** What the navigation leads to. */
const PARTS = ["load-balancers", "shards"];

const main = document.getElementById("main");
let turns = 0;

/** `/load-balancers`, `/load-balancers/NAME`, `/load-balancers/NAME/TAB` or `/shards`. */
async function page() {
    const [, part, name, tab] = location.hash.split("/").map(decodeURIComponent);
    for (const other of PARTS) {
        const link = document.getElementById(`to-${other}`);
        link.setAttribute("aria-current", other !== part ? "false" : name ? "true" : "page");
    }
    // What the first view does not show is fetched when it is asked for.
    if (part === "shards") return (await import("./shards.js")).showShards();
    if (!name) return showList(refresh);
    const { showDetail } = await import("./detail.js");
    return showDetail(name, tab ?? "description", refresh);
}

function refusal(error) {
    const advice =
        error.status === 401 || error.status === 403
            ? "Where elbow has credentials, requests are signed, and the console cannot do so yet: " +
              "use aws elb, an SDK or elbow's own commands."
            : element("a", { href: "#/load-balancers" }, "All load balancers");
    return element(
        "div",
        { class: "refusal", role: "alert" },
        element("h1", { tabindex: "-1" }, "That did not work"),
        element("p", {}, error.message),
        element("p", {}, advice),
    );
}

/** Draws the page of the address. An answer that comes after somebody has gone on is dropped. */
async function draw() {
    const turn = ++turns;
    main.setAttribute("aria-busy", "true");
    let content;
    try {
        content = await page();
    } catch (error) {
        content = refusal(error);
    }
    if (turn !== turns) return false;
    main.replaceChildren(content);
    main.removeAttribute("aria-busy");
    const title = main.querySelector("h1");
    document.title = `${title.textContent} – elbow`;
    return true;
}

/** Draws it anew and leaves the focus where it was. */
async function refresh() {
    const id = document.activeElement?.id;
    if (await draw()) ((id && document.getElementById(id)) || main.querySelector("h1")).focus();
}

async function navigate() {
    if (!PARTS.includes(location.hash.split("/")[1])) {
        location.replace("#/load-balancers");
        return;
    }
    const isFirst = turns === 0;
    const tab = document.activeElement?.closest(".tabs") && document.activeElement.id;
    document.getElementById("status").textContent = "";
    if ((await draw()) && !isFirst)
        ((tab && document.getElementById(tab)) || main.querySelector("h1")).focus();
}

async function sayHost() {
    const status = await v1("GET", "status");
    document.getElementById("host").textContent =
        `${status.version} · ${status.region} · ${status.phase}`;
}

document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
});
addEventListener("hashchange", navigate);
navigate();
// The page itself says so when elbow does not answer.
sayHost().catch(() => {});
