// Instances that leave: how far they are, how one is told to, and how it is kept after all.

import { act, v1 } from "./api.js";
import { button, element } from "./dom.js";
import { choice, openDialog, textField, whole } from "./form.js";
import { steadyTable } from "./steady.js";
import { lapse, number } from "./words.js";

/** How it may leave: what that is called, what it means, the longest deadline in seconds. */
const MODES = {
    session: ["Wait until its sessions have ended", "No new session goes there.", 604_800],
    connections: ["Only let running requests finish", "Its sessions move at once.", 3_600],
};

function stage(drain) {
    if (drain.stage === "sessions") return "Waits for its sessions to end";
    if (drain.stage === "connections") return "Lets running requests finish";
    return drain.sessions_ended === "deadline" ? "Has left at the deadline" : "Has left";
}

function progress(drain) {
    const { instance, sessions_left: left, sessions_at_start: all, left_percent: percent } = drain;
    const words = `${number(left)} of ${number(Math.max(all, left))} sessions left`;
    return element(
        "div",
        { class: "measure" },
        element("span", {}, words),
        element("progress", {
            max: 100,
            value: 100 - percent,
            "aria-label": `${instance}: ${words}`,
        }),
    );
}

function times(drain) {
    const { half_life_seconds: half, ends_in_seconds: end, deadline_in_seconds: deadline } = drain;
    return [
        half === null ? "half-life not known yet" : `half-life ${lapse(half)}`,
        end === null ? undefined : `ends in about ${lapse(end)}`,
        `deadline in ${lapse(deadline)}`,
    ]
        .filter(Boolean)
        .join(", ");
}

function keep(drain, changed) {
    const { instance, load_balancer: of } = drain;
    openDialog({
        title: `Keep ${instance}?`,
        content: element("p", {}, "It is registered again and takes new sessions as before."),
        action: "Keep",
        save: () => v1("DELETE", `drains/${[of, instance].map(encodeURIComponent).join("/")}`),
        done: `${instance} stays.`,
        changed,
    });
}

/** The table of the drains that a moment has; with `changed`, which draws the page anew, some of
 * them can be ended. */
export function drainTable(changed) {
    const headings = ["Instance ID", "Stage", "Sessions", "Time", "Running now"];
    if (changed) headings.push("Actions");
    const rows = steadyTable("Instances that leave", headings, "No instance is leaving.");
    const action = (drain) =>
        drain.stage === "sessions"
            ? button("Keep", `keep-${drain.instance}`, () => keep(drain, changed), {
                  "aria-label": `Keep ${drain.instance}`,
                  class: "changes",
              })
            : element("span", { class: "changes" }, "–");
    function update(drains) {
        rows.update(
            drains.map((drain) => [
                drain.instance,
                stage(drain),
                progress(drain),
                drain.stage === "done" ? "–" : times(drain),
                number(drain.requests_in_flight),
                ...(changed ? [action(drain)] : []),
            ]),
        );
    }
    return { node: rows.node, update };
}

/** What the attributes of the load balancer say of those who leave; nothing if it cannot be asked. */
async function attributeWords(name) {
    const query = `load-balancers?load_balancer=${encodeURIComponent(name)}`;
    const [found] = await v1("GET", query).catch(() => []);
    if (!found) return "";
    const { drain_mode: mode, connection_draining_seconds: seconds } = found;
    const sessions =
        mode === "session"
            ? `Its sessions have ${lapse(found.drain_deadline_seconds)} to end. `
            : "Its sessions move at once. ";
    const requests =
        seconds === null
            ? "Running requests are cut off."
            : `Running requests have ${lapse(seconds)}.`;
    return sessions + requests;
}

/** Asks how an instance is to leave, and lets it. */
export async function deregister(loadBalancer, id, changed) {
    const usual = await attributeWords(loadBalancer.name);
    const deadlines = Object.fromEntries(
        Object.entries(MODES).map(([mode, [, , most]]) => [
            mode,
            textField({
                label: "Deadline (seconds, optional)",
                hint: "Left empty, it is as the load balancer's attributes say.",
                isNumber: true,
                check: (value) => (value === "" ? undefined : whole(1, most)(value)),
                about: /deadline/i,
            }),
        ]),
    );
    const chosen = () => content.querySelector(":checked").value;
    const update = () => {
        for (const [mode, field] of Object.entries(deadlines)) field.show(chosen() === mode);
    };
    const option = (mode, label, hint, ...inside) =>
        choice(
            "leave",
            mode,
            label,
            "attributes",
            update,
            element("div", { class: "field hint" }, hint),
            ...inside,
        );
    const content = element(
        "fieldset",
        {},
        element("legend", {}, "It gets no new sessions. What of those that it has?"),
        option("attributes", "As the load balancer's attributes say", usual),
        Object.entries(MODES).map(([mode, [label, hint]]) =>
            option(mode, label, hint, deadlines[mode].node),
        ),
    );
    update();
    const save = () => {
        const mode = chosen();
        if (mode === "attributes") {
            return act("DeregisterInstancesFromLoadBalancer", {
                LoadBalancerName: loadBalancer.name,
                Instances: [{ InstanceId: id }],
            });
        }
        const seconds = deadlines[mode].value;
        return v1("POST", "drains", {
            load_balancer: loadBalancer.name,
            instance: id,
            mode,
            deadline_seconds: seconds ? Number(seconds) : undefined,
        });
    };
    openDialog({
        title: `Deregister ${id}?`,
        content,
        fields: Object.values(deadlines),
        action: "Deregister",
        danger: true,
        save,
        done: `${id} is deregistered.`,
        changed,
    });
}
