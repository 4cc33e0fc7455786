// "Edit stickiness": the policy of one listener.

import { act } from "./api.js";
import { button, element } from "./dom.js";
import { choice, openDialog, required, textField, whole } from "./form.js";
import { canStick, loadBalancer as described, stickinessOf } from "./model.js";

/** The longest period that the ELB API takes. */
const SECONDS_MAX = 2 ** 31 - 1;

/** What policies that this console makes are called, so that it may delete them again. */
const OWN = "Console-";

const optionalSeconds = (value) => (value === "" ? undefined : whole(1, SECONDS_MAX)(value));

/** Creates the policy; its name says what it is and is like no other's. */
async function create(loadBalancer, { kind, value }) {
    const [type, about] =
        kind === "duration"
            ? ["LBCookieStickinessPolicy", { CookieExpirationPeriod: value || undefined }]
            : ["AppCookieStickinessPolicy", { CookieName: value }];
    const name = `${OWN}${type}-${Date.now()}`;
    await act(`Create${type}`, { LoadBalancerName: loadBalancer.name, PolicyName: name, ...about });
    return name;
}

/** Deletes a policy that nothing needs. If somebody has found a use for it meanwhile, elbow refuses,
 * and so it should be. */
async function tidy(loadBalancer, name) {
    const policy = { LoadBalancerName: loadBalancer.name, PolicyName: name };
    await act("DeleteLoadBalancerPolicy", policy).catch(() => {});
}

/** Makes `wanted` (`undefined`: none) the stickiness of the listener. Its other policies stay as
 * they are now, which need not be what the page shows. */
async function save(name, port, wanted) {
    const loadBalancer = await described(name);
    const listener = loadBalancer.listeners.find((other) => other.port === port);
    if (!listener) throw new Error(`There is no listener at port ${port} any more.`);
    const old = stickinessOf(loadBalancer, listener);
    const isWanted = (policy) => policy.kind === wanted.kind && policy.value === wanted.value;
    const existing = wanted && loadBalancer.stickiness.find(isWanted)?.name;
    const policy = wanted && (existing ?? (await create(loadBalancer, wanted)));
    const kept = listener.policies.filter((other) => other !== old?.name);
    try {
        await act("SetLoadBalancerPoliciesOfListener", {
            LoadBalancerName: name,
            LoadBalancerPort: port,
            PolicyNames: policy ? [policy, ...kept] : kept,
        });
    } catch (error) {
        if (policy && !existing) await tidy(loadBalancer, policy);
        throw error;
    }
    if (old?.name.startsWith(OWN) && old.name !== policy) await tidy(loadBalancer, old.name);
}

function editStickiness(loadBalancer, listener, changed) {
    const current = stickinessOf(loadBalancer, listener);
    const kind = current?.kind ?? "off";
    const value = (of) => (kind === of ? current.value : "");
    const period = textField({
        label: "Expiration Period (seconds, optional)",
        hint: "Leave it empty for stickiness that lasts until the browser session ends.",
        value: value("duration"),
        isNumber: true,
        check: optionalSeconds,
        about: /expiration|period/i,
    });
    const cookie = textField({
        label: "Cookie Name",
        hint: "The cookie of the application, whose lifetime the stickiness follows.",
        value: value("application"),
        check: required("the name of the application's cookie"),
        about: /cookie/i,
    });
    const chosen = () => content.querySelector(":checked").value;
    const update = () => {
        period.show(chosen() === "duration");
        cookie.show(chosen() === "application");
    };
    const option = (name, label, ...inside) =>
        choice("stickiness", name, label, kind, update, ...inside);
    const content = element(
        "fieldset",
        {},
        element("legend", {}, `Port ${listener.port} (${listener.protocol})`),
        option("off", "Disable stickiness"),
        option("duration", "Enable load balancer generated cookie stickiness", period.node),
        option("application", "Enable application generated cookie stickiness", cookie.node),
    );
    update();
    const wanted = () =>
        ({
            off: undefined,
            duration: { kind: "duration", value: period.value && String(Number(period.value)) },
            application: { kind: "application", value: cookie.value },
        })[chosen()];
    openDialog({
        title: "Edit stickiness",
        content,
        fields: [period, cookie],
        save: () => save(loadBalancer.name, listener.port, wanted()),
        done: `The stickiness of port ${listener.port} is saved.`,
        changed,
    });
}

/** The button "Edit stickiness" of a listener; none where there are no cookies. */
export function stickinessButton(loadBalancer, listener, changed) {
    if (!canStick(listener)) return undefined;
    return button(
        "Edit stickiness",
        `edit-stickiness-${listener.port}`,
        () => editStickiness(loadBalancer, listener, changed),
        { "aria-label": `Edit stickiness of port ${listener.port}`, class: "changes" },
    );
}
