// The tab "Explain": where the session of a cookie goes, and why.

import { v1 } from "./api.js";
import { badge, element, facts, heading, table } from "./dom.js";
import { areaField, choiceField, formOf, textField } from "./form.js";
import { stickinessOf } from "./model.js";
import { lapse, number } from "./words.js";

const NOBODY = "Nobody";

const lived = ({ backend, life }) => `${backend} (life ${life})`;

/** A cookie as somebody may have copied it: on several lines, or with what a browser is told. */
function readCookie(text) {
    const line = text.replace(/\s*\n\s*/g, " ").trim();
    const [, sent] = /^set-cookie:\s*([^;]*)/i.exec(line) ?? [];
    return sent ?? line;
}

function ago(now, seconds) {
    return `${lapse(now - seconds)} ago`;
}

/** What the cookie says of itself. */
function said(cookie, now) {
    return [
        ["Bound to", lived(cookie.bound_to)],
        ["Sealed", ago(now, cookie.issued)],
        ["Session began", ago(now, cookie.began)],
    ];
}

/** Each move of the session, the first one first. */
function steps(moves, now) {
    if (moves.length === 0) {
        return element("p", { class: "empty" }, "It has not moved since the cookie was sealed.");
    }
    const words = ({ from, ended_ms: ended, to }) => {
        const when = ended === null ? "before all that is known" : ago(now, ended / 1000);
        return [`${lived(from)} ended ${when}: `, element("strong", {}, `to ${lived(to)}`)];
    };
    return element(
        "ol",
        { class: "steps card" },
        moves.map((move) => element("li", {}, words(move))),
    );
}

function ranks(answer) {
    const notes = (row) =>
        [
            row.backend === answer.home && "its home",
            row.backend === answer.standby && "would take it over",
            row.is_leaving && "leaves",
            row.is_over_bound && "has more than its share",
        ].filter(Boolean);
    const rows = answer.ranked.map((row, index) => [
        `${index + 1}. ${row.backend}`,
        number(row.life),
        number(row.weight),
        notes(row).join(", ") || "–",
    ]);
    return table("Ranked instances", ["Instance ID", "Life", "Weight", "Notes"], rows);
}

/** The answer, in the order in which it is decided. */
function told(answer) {
    const now = Date.now() / 1000;
    const isUsual = ["valid", "none", "fallback"].includes(answer.verdict);
    return [
        element(
            "h2",
            { tabindex: "-1", class: "verdict" },
            badge(isUsual, answer.verdict),
            `: ${answer.because}`,
        ),
        facts(
            [
                answer.without && ["What if", `${answer.without} had just died`],
                ["It goes", answer.goes],
                answer.session && ["Session", answer.session],
                ...(answer.cookie ? said(answer.cookie, now) : []),
                answer.standby && ["Standby", answer.standby],
                ["Policy", answer.policy],
                ["Listener", answer.listener],
                ["Epoch", number(answer.epoch)],
            ].filter(Boolean),
        ),
        ...(answer.cookie ? [heading("How it moved"), steps(answer.moves, now)] : []),
        ...(answer.ranked.length > 0
            ? [heading("Where it would go, best first"), ranks(answer)]
            : []),
        ...(answer.sends.length > 0
            ? [
                  heading("What the client is sent"),
                  element("pre", { class: "card", tabindex: 0 }, answer.sends.join("\n")),
              ]
            : []),
    ];
}

function question(loadBalancer) {
    const options = loadBalancer.listeners.map(({ port, protocol }) => `${port} (${protocol})`);
    const isApplication = (listener) =>
        stickinessOf(loadBalancer, listener)?.kind === "application";
    const port = choiceField({
        label: "Listener",
        options,
        value: options[0],
        about: /port|listen/i,
    });
    const cookie = areaField({
        label: "Cookie",
        hint: "The value of AWSELB, or the whole Cookie field of a request. It is not kept.",
        about: /cookie/i,
    });
    const own = textField({
        label: "Value of the application's cookie (optional)",
        hint: "Unless it is in the field above.",
    });
    const without = choiceField({
        label: "What if this instance died now?",
        options: [NOBODY, ...loadBalancer.instances],
        value: NOBODY,
        about: /without|instance/i,
    });
    const chosen = () => loadBalancer.listeners[port.input.selectedIndex];
    const update = () => own.show(chosen() !== undefined && isApplication(chosen()));
    port.input.addEventListener("change", update);
    update();
    const query = () => {
        const parts = new URLSearchParams({
            load_balancer: loadBalancer.name,
            port: chosen().port,
        });
        parts.set("cookie", readCookie(cookie.value));
        if (!own.input.disabled && own.value) parts.set("app_cookie", own.value);
        if (without.value !== NOBODY) parts.set("without", without.value);
        return parts;
    };
    return { fields: [port, cookie, own, without], query };
}

export function showExplain(loadBalancer) {
    const title = heading("Explain a cookie");
    if (loadBalancer.listeners.length === 0) {
        return [
            title,
            element("p", { class: "empty" }, "There is no listener that would read it."),
        ];
    }
    const { fields, query } = question(loadBalancer);
    const answer = element("div", { class: "answer" });
    const form = formOf({
        content: fields.map((field) => field.node),
        fields,
        submit: element("button", { type: "submit", class: "primary" }, "Explain"),
        save: async () => {
            answer.replaceChildren();
            answer.append(...told(await v1("GET", `explain?${query()}`)));
        },
        done: () => answer.querySelector("h2").focus(),
    });
    return [title, element("div", { class: "card narrow" }, form), answer];
}
