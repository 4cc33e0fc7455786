// The tab "Tags".

import { act, members, text } from "./api.js";
import { button, element, heading, table } from "./dom.js";
import { openDialog, required, textField } from "./form.js";

function add(loadBalancer, changed) {
    const key = textField({ label: "Key", check: required("a key"), about: /key|tags/i });
    const value = textField({ label: "Value", about: /value/i });
    openDialog({
        title: "Add tag",
        content: element("div", {}, key.node, value.node),
        fields: [key, value],
        action: "Add",
        save: () =>
            act("AddTags", {
                LoadBalancerNames: [loadBalancer.name],
                Tags: [{ Key: key.value, Value: value.value }],
            }),
        done: "The tag is added.",
        changed,
    });
}

function remove(loadBalancer, key, changed) {
    openDialog({
        title: `Remove the tag ${key}?`,
        content: element("p", {}, "It marks this load balancer no more; nothing else changes."),
        action: "Remove",
        danger: true,
        save: () =>
            act("RemoveTags", { LoadBalancerNames: [loadBalancer.name], Tags: [{ Key: key }] }),
        done: `The tag ${key} is removed.`,
        changed,
    });
}

export async function showTags(loadBalancer, refresh) {
    const result = await act("DescribeTags", { LoadBalancerNames: [loadBalancer.name] });
    const tags = members(members(result, "TagDescriptions")[0], "Tags");
    const rows = tags.map((tag) => {
        const key = text(tag, "Key");
        return [
            key,
            text(tag, "Value"),
            button("Remove", `remove-${key}`, () => remove(loadBalancer, key, refresh), {
                "aria-label": `Remove ${key}`,
                class: "changes",
            }),
        ];
    });
    return [
        heading(
            "Tags",
            button("Add tag", "add-tag", () => add(loadBalancer, refresh), { class: "changes" }),
        ),
        table("Tags", ["Key", "Value", "Actions"], rows, "It has no tags."),
    ];
}
