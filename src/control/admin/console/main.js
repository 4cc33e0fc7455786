// Which page is shown: the part of the address behind `#` says so, and so pages can be linked to.

import { useToken, v1 } from "./api.js";
import { announce, element } from "./dom.js";
import { showList } from "./list.js";
import { showAccount, showSignIn } from "./sign_in.js";

/** What the navigation leads to. */
const PARTS = ["load-balancers", "shards", "cluster"];

const main = document.getElementById("main");
let turns = 0;
// Who is signed in, once that is known, and why somebody is to sign in.
let account;
let note = "";

/** What may be seen and done is that of this account from now on. */
function be(told) {
    account = told;
    useToken(told.token);
    document.documentElement.classList.toggle("read-only", told.read_only);
    document.getElementById("account").replaceChildren(...showAccount(told, signOut));
    document.getElementById("host").textContent = "";
    // The page itself says so when elbow does not answer.
    if (told.who !== null) sayHost().catch(() => {});
}

async function enter(told) {
    be(told);
    await refresh();
}

/** Whatever was open is closed, as it is no longer to be seen. */
async function leave(told, why) {
    be(told);
    note = why;
    document.querySelectorAll("dialog").forEach((dialog) => dialog.close());
    await refresh();
}

async function signOut() {
    try {
        await leave(await v1("DELETE", "sign-in"), "You have signed out.");
    } catch (error) {
        announce(error.message);
    }
}

/** `/load-balancers`, `/load-balancers/NAME`, `/load-balancers/NAME/TAB`, `/shards` or
 * `/cluster`. */
async function page() {
    if (!account) be(await v1("GET", "sign-in"));
    if (account.who === null) return showSignIn(note, enter);
    const [, part, name, tab] = location.hash.split("/").map(decodeURIComponent);
    for (const other of PARTS) {
        const link = document.getElementById(`to-${other}`);
        link.setAttribute("aria-current", other !== part ? "false" : name ? "true" : "page");
    }
    // What the first view does not show is fetched when it is asked for.
    if (part === "shards") return (await import("./shards.js")).showShards();
    if (part === "cluster") return (await import("./cluster.js")).showCluster();
    if (!name) return showList(refresh);
    const { showDetail } = await import("./detail.js");
    return showDetail(name, tab ?? "description", refresh);
}

function refusal(error) {
    return element(
        "div",
        { class: "refusal", role: "alert" },
        element("h1", { tabindex: "-1" }, "That did not work"),
        element("p", {}, error.message),
        element("p", {}, element("a", { href: "#/load-balancers" }, "All load balancers")),
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

/** What gets the focus: the element of that id if it is there, or where the page begins. */
function focus(id) {
    const begin = main.querySelector(".sign-in input") ?? main.querySelector("h1");
    ((id && document.getElementById(id)) || begin).focus();
}

/** Draws it anew and leaves the focus where it was. */
async function refresh() {
    const id = document.activeElement?.id;
    if (await draw()) focus(id);
}

async function navigate() {
    if (!PARTS.includes(location.hash.split("/")[1])) {
        location.replace("#/load-balancers");
        return;
    }
    const isFirst = turns === 0;
    const tab = document.activeElement?.closest(".tabs") && document.activeElement.id;
    document.getElementById("status").textContent = "";
    if ((await draw()) && (!isFirst || account?.who === null)) focus(tab);
}

async function sayHost() {
    const status = await v1("GET", "status");
    document.getElementById("host").textContent =
        `${status.version} · ${status.region} · ${status.phase}`;
    // Who has no cluster need not know of it.
    document.getElementById("to-cluster").parentElement.hidden = status.cluster === null;
}

document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
});
addEventListener("hashchange", navigate);
addEventListener("signed-out", () => {
    const nobody = { who: null, read_only: true, token: null };
    if (account?.who !== null) leave(nobody, "You are signed in no more. Sign in to go on.");
});
navigate();
