// The stream of /v1/live: a moment each second, for as long as somebody looks at what shows it.
//
// A page watches by a line that says how the stream is. When the line leaves the page, or nobody
// sees the page, the stream ends.

import { Refused, stream } from "./api.js";
import { button, element } from "./dom.js";

/** How far back charts look. */
export const SPAN_MS = 120_000;

/** After which time without a word the connection counts as lost. */
const SILENCE_MS = 10_000;

/** How long to wait before the next attempt, after so many that failed. */
const WAIT_MS = [1_000, 2_000, 4_000, 8_000, 15_000];

/** Where somebody wants less motion, pictures change this seldom. */
const CALM_MS = 5_000;

/** Of so many that were watched moments are kept. */
const KEPT_MAX = 4;

const wantsCalm = matchMedia("(prefers-reduced-motion: reduce)");

let next; // what is watched once its line is on the page
let view; // what is watched
let open; // the connection, or the attempts to have one
let kept = new Map(); // moments by what was watched, the latest last
let newest = 0; // when it was at elbow, in milliseconds since 1970, as far as is known
let isPaused = false;

/** Whether it belongs to the last two minutes, or is the point from which a line comes there. */
const isRecent = ({ at_ms: at }) => at > newest - SPAN_MS - 5_000 && at <= newest;

/** The line of a page that watches the load balancer of this name, or all of them if it is empty.
 * `show` is given the moments of the last two minutes, the newest last, whenever there is one more. */
export function watch(of, show) {
    const words = element("span", { role: "status" });
    const pause = button("Pause", "pause-live", () => {
        isPaused = !isPaused;
        settle();
    });
    const node = element("p", { class: "live hint" }, words, pause);
    next = { of, show, node, words, pause, shownAt: 0 };
    return node;
}

/** Follows what is on the page and whether somebody sees it. */
function settle() {
    if (next?.node.isConnected) {
        view = next;
        next = undefined;
        keep(view.of, momentsOf(view.of));
        // What is older is shown together with what comes next.
        if (newest - momentsOf(view.of).at(-1)?.at_ms < SILENCE_MS / 2) show();
        if (open && !isPaused) say(open.words);
    }
    if (view && !view.node.isConnected) view = undefined;
    if (view) view.pause.textContent = isPaused ? "Go on" : "Pause";
    const wanted = view && !isPaused && !document.hidden ? view.of : undefined;
    if (open && open.of !== wanted) {
        open.attempt?.abort();
        open = undefined;
    }
    if (wanted !== undefined && !open) {
        open = { of: wanted };
        follow(open);
    }
    if (isPaused) say("Paused");
}

/** Says how the stream is, aloud as well, and so only if that has changed. */
function say(words, isBad = false) {
    if (!view || view.words.textContent === words) return;
    view.words.textContent = words;
    view.node.classList.toggle("error", isBad);
}

const momentsOf = (of) => kept.get(of) ?? [];

/** Keeps moments of the last few that were watched, so that who comes back soon sees them again. */
function keep(of, moments) {
    const others = [...kept].filter(([other]) => other !== of);
    kept = new Map([...others.slice(1 - KEPT_MAX), [of, moments]]);
}

function show() {
    const moments = view ? momentsOf(view.of).filter(isRecent) : [];
    if (moments.length === 0) return;
    const now = Date.now();
    if (wantsCalm.matches && now - view.shownAt < CALM_MS) return;
    view.shownAt = now;
    view.show(moments);
}

function take(of, moment) {
    newest = moment.at_ms;
    keep(of, [...momentsOf(of).filter(isRecent), moment]);
    // A mistake of a picture is none of the connection.
    try {
        show();
    } catch (error) {
        reportError(error);
    }
}

/** Connects, again and again, until something else is watched. */
async function follow(connection) {
    let failures = 0;
    const tell = (words, isBad) => {
        if (open !== connection) return;
        connection.words = words;
        say(words, isBad);
    };
    tell("Connecting …");
    while (open === connection) {
        const attempt = (connection.attempt = new AbortController());
        let isEndUsual = false;
        try {
            for await (const moment of moments(connection.of, attempt)) {
                if (open !== connection) return;
                failures = 0;
                // After some minutes elbow ends the stream, to be asked again.
                isEndUsual = true;
                tell("Live, a new number each second");
                take(connection.of, moment);
            }
            if (isEndUsual) continue;
            throw new Refused(0, "elbow has ended the connection.");
        } catch (error) {
            tell(`Not connected: ${sentence(error.message)} It is tried again.`, true);
        }
        const wait = WAIT_MS[Math.min(failures++, WAIT_MS.length - 1)];
        await new Promise((done) => setTimeout(done, wait));
    }
}

const sentence = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);

/** What the stream says, as it comes. */
async function* moments(of, attempt) {
    let isSilent = false;
    const fail = () => {
        isSilent = true;
        attempt.abort();
    };
    let alarm = setTimeout(fail, SILENCE_MS);
    try {
        const query = of && `?load_balancer=${encodeURIComponent(of)}`;
        const body = await stream(`live${query}`, attempt.signal);
        const reader = body.pipeThrough(new TextDecoderStream()).getReader();
        let text = "";
        for (;;) {
            const { done, value } = await reader.read();
            if (done) return;
            clearTimeout(alarm);
            alarm = setTimeout(fail, SILENCE_MS);
            const events = (text + value).split(/\r?\n\r?\n/);
            text = events.pop();
            for (const event of events) {
                const moment = read(event);
                if (moment) yield moment;
            }
        }
    } catch (error) {
        throw isSilent ? new Refused(0, "elbow is silent.") : error;
    } finally {
        clearTimeout(alarm);
        attempt.abort();
    }
}

/** A server-sent event, if it is a moment. */
function read(event) {
    const lines = event.split(/\r?\n/);
    const valuesOf = (name) =>
        lines
            .filter((line) => line.startsWith(`${name}:`))
            .map((line) => line.slice(name.length + 1).replace(/^ /, ""));
    if (valuesOf("event").at(-1) !== "moment") return undefined;
    return JSON.parse(valuesOf("data").join("\n"));
}

new MutationObserver(settle).observe(document.getElementById("main"), { childList: true });
document.addEventListener("visibilitychange", settle);
