// The page of one load balancer, with its tabs.

import { deleteButton } from "./create.js";
import { button, element } from "./dom.js";
import { loadBalancer } from "./model.js";
import { showAttributes } from "./attributes.js";
import { showDescription } from "./description.js";
import { showExplain } from "./explain.js";
import { showHealthCheck } from "./health_check.js";
import { showInstances } from "./instances.js";
import { showListeners } from "./listeners.js";
import { showMonitoring } from "./monitoring.js";
import { showTags } from "./tags.js";

/** By the last part of the address: the words of a tab, and what it shows of a load balancer. */
const TABS = {
    description: ["Description", showDescription],
    instances: ["Instances", showInstances],
    "health-check": ["Health check", showHealthCheck],
    listeners: ["Listeners", showListeners],
    monitoring: ["Monitoring", showMonitoring],
    explain: ["Explain", showExplain],
    attributes: ["Attributes", showAttributes],
    tags: ["Tags", showTags],
};

export async function showDetail(name, tab, refresh) {
    const [, show] = TABS[tab] ?? TABS.description;
    const described = await loadBalancer(name);
    const links = Object.entries(TABS).map(([key, [words]]) =>
        element(
            "li",
            {},
            element(
                "a",
                {
                    id: `tab-${key}`,
                    href: `#/load-balancers/${encodeURIComponent(name)}/${key}`,
                    "aria-current": key === tab ? "page" : undefined,
                },
                words,
            ),
        ),
    );
    return element(
        "section",
        {},
        element(
            "nav",
            { "aria-label": "Where this is", class: "trail" },
            element("a", { href: "#/load-balancers" }, "Load Balancers"),
            " › ",
            name,
        ),
        element(
            "div",
            { class: "heading" },
            element("h1", { tabindex: "-1" }, name),
            element(
                "div",
                { class: "actions" },
                deleteButton(described),
                button("Refresh", "refresh", refresh),
            ),
        ),
        element(
            "nav",
            { "aria-label": `Parts of ${name}`, class: "tabs" },
            element("ul", {}, links),
        ),
        ...[await show(described, refresh)].flat(),
    );
}
