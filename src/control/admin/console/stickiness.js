// "Edit stickiness": the policy of one listener.

import { act } from "./api.js";
import { element } from "./dom.js";
import { openDialog, required, textField, whole } from "./form.js";
import { loadBalancer as described, stickinessOf } from "./model.js";

/** The longest period that the ELB API takes. */
const SECONDS_MAX = 2 ** 31 - 1;

/** What policies that this console makes are called, so that it may delete them again. */
const OWN = "Console-";

const optionalSeconds = (value) => (value === "" ? undefined : whole(1, SECONDS_MAX)(value));

function choice(kind, label, chosen, update, ...inside) {
  const id = `stickiness-${kind}`;
  const radio = element("input", { type: "radio", name: "stickiness", id, value: kind, checked: kind === chosen, onchange: update });
  return element("div", { class: "choice" }, radio, element("label", { for: id }, label), inside);
}

/** Creates the policy; its name says what it is and is like no other's. */
async function create(loadBalancer, { kind, value }) {
  const [type, about] = kind === "duration"
    ? ["LBCookieStickinessPolicy", { CookieExpirationPeriod: value || undefined }]
    : ["AppCookieStickinessPolicy", { CookieName: value }];
  const name = `${OWN}${type}-${loadBalancer.name}-${Date.now()}`;
  await act(`Create${type}`, { LoadBalancerName: loadBalancer.name, PolicyName: name, ...about });
  return name;
}

const remove = (loadBalancer, name) =>
  act("DeleteLoadBalancerPolicy", { LoadBalancerName: loadBalancer.name, PolicyName: name });

/** Makes `wanted` (`undefined`: none) the stickiness of the listener. Its other policies stay as they
 * are now, which need not be what the page shows. */
async function save(name, port, wanted) {
  const loadBalancer = await described(name);
  const listener = loadBalancer.listeners.find((other) => other.port === port);
  if (!listener) throw new Error(`There is no listener at port ${port} any more.`);
  const old = stickinessOf(loadBalancer, listener);
  const isWanted = (policy) => policy.kind === wanted.kind && policy.value === wanted.value;
  const existing = wanted && loadBalancer.stickiness.find(isWanted)?.name;
  const policy = wanted && (existing ?? await create(loadBalancer, wanted));
  const kept = listener.policies.filter((other) => other !== old?.name);
  try {
    await act("SetLoadBalancerPoliciesOfListener", {
      LoadBalancerName: name,
      LoadBalancerPort: port,
      PolicyNames: policy ? [policy, ...kept] : kept,
    });
  } catch (error) {
    if (policy && !existing) await remove(loadBalancer, policy);
    throw error;
  }
  const isUsed = loadBalancer.listeners.some((other) => other.port !== port && other.policies.includes(old?.name));
  if (old?.name.startsWith(OWN) && old.name !== policy && !isUsed) await remove(loadBalancer, old.name);
}

export function editStickiness(loadBalancer, listener, changed) {
  const current = stickinessOf(loadBalancer, listener);
  const kind = current?.kind ?? "off";
  const value = (of) => (kind === of ? current.value : "");
  const period = textField({
    label: "Expiration Period (seconds, optional)",
    hint: "Leave it empty for stickiness that lasts until the browser session ends.",
    value: value("duration"),
    type: "number",
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
  const content = element("fieldset", {},
    element("legend", {}, `Port ${listener.port} (${listener.protocol})`),
    choice("off", "Disable stickiness", kind, update),
    choice("duration", "Enable load balancer generated cookie stickiness", kind, update, period.node),
    choice("application", "Enable application generated cookie stickiness", kind, update, cookie.node));
  update();
  const wanted = () => ({
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
