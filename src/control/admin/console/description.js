// The tabs "Description" and "Listeners".

import { button, element, facts, heading, table } from "./dom.js";
import { canStick, listenerWords, stickinessWords } from "./model.js";
import { editStickiness } from "./stickiness.js";

const list = (values) => values.join(", ") || "–";

function editButton(loadBalancer, listener, refresh) {
  if (!canStick(listener)) return undefined;
  const label = `Edit stickiness of port ${listener.port}`;
  return button("Edit stickiness", `edit-stickiness-${listener.port}`,
    () => editStickiness(loadBalancer, listener, refresh), { "aria-label": label });
}

/** A listener, whether it is sticky, and the button to change that. */
function port(loadBalancer, listener, refresh) {
  return element("div", { class: "card port" },
    element("p", {}, element("strong", {}, listenerWords(listener))),
    element("p", {}, "Stickiness: ", stickinessWords(loadBalancer, listener)),
    editButton(loadBalancer, listener, refresh));
}

export function showDescription(loadBalancer, refresh) {
  const ports = loadBalancer.listeners.map((listener) => port(loadBalancer, listener, refresh));
  return [
    heading("Basic configuration"),
    facts([
      ["Name", loadBalancer.name],
      ["DNS name", loadBalancer.dnsName || "–"],
      ["Scheme", loadBalancer.scheme],
      ["Availability zones", list(loadBalancer.zones)],
      ["Subnets", list(loadBalancer.subnets)],
      ["Security groups", list(loadBalancer.securityGroups)],
      ["Creation time", new Date(loadBalancer.created).toLocaleString()],
      ["Registered instances", String(loadBalancer.instances.length)],
    ]),
    heading("Port configuration"),
    element("div", { class: "cards" }, ports),
  ];
}

export function showListeners(loadBalancer, refresh) {
  const rows = loadBalancer.listeners.map((listener) => [
    `${listener.protocol} ${listener.port}`,
    `${listener.instanceProtocol} ${listener.instancePort}`,
    listener.certificate || "–",
    list(listener.policies),
    [stickinessWords(loadBalancer, listener), " ", editButton(loadBalancer, listener, refresh)]
      .filter((part) => part !== undefined),
  ]);
  const headings = ["Load balancer", "Instance", "SSL certificate", "Policies", "Stickiness"];
  return [heading("Listeners"), table("Listeners", headings, rows, "There is no listener.")];
}
