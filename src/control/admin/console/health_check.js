// The tab "Health check".

import { act } from "./api.js";
import { button, element, facts, heading } from "./dom.js";
import { choiceField, openDialog, textField, whole } from "./form.js";

/** `HTTP:80/path` or `TCP:80` in its parts. */
function parts(target) {
    const [, protocol, port, path] = /^(\w+):(\d+)(.*)$/.exec(target) ?? [undefined, "TCP", "", ""];
    return { protocol, port, path };
}

const hasPath = (protocol) => protocol === "HTTP" || protocol === "HTTPS";

function edit(loadBalancer, changed) {
    const check = loadBalancer.healthCheck;
    const target = parts(check.target);
    const number = (label, value, from, to, about) =>
        textField({ label, value, isNumber: true, check: whole(from, to), about });
    const protocol = choiceField({
        label: "Ping Protocol",
        value: target.protocol,
        options: ["HTTP", "HTTPS", "TCP", "SSL"],
    });
    const port = number("Ping Port", target.port, 1, 65535, /port/i);
    const path = textField({
        label: "Ping Path",
        value: target.path || "/",
        check: (value) =>
            value.startsWith("/") ? undefined : "Enter a path that begins with a slash.",
        about: /target|path/i,
    });
    const timeout = number("Response Timeout (seconds)", check.timeout, 2, 60, /timeout/i);
    const interval = number("Interval (seconds)", check.interval, 5, 300, /interval/i);
    const unhealthy = number("Unhealthy threshold", check.unhealthy, 2, 10, /unhealthy/i);
    const healthy = number("Healthy threshold", check.healthy, 2, 10, /healthy/i);
    const fields = [protocol, port, path, timeout, interval, unhealthy, healthy];
    const update = () => path.show(hasPath(protocol.value));
    protocol.input.addEventListener("change", update);
    update();
    const save = () =>
        act("ConfigureHealthCheck", {
            LoadBalancerName: loadBalancer.name,
            HealthCheck: {
                Target: `${protocol.value}:${port.value}${hasPath(protocol.value) ? path.value : ""}`,
                Interval: interval.value,
                Timeout: timeout.value,
                UnhealthyThreshold: unhealthy.value,
                HealthyThreshold: healthy.value,
            },
        });
    openDialog({
        title: "Edit health check",
        content: element(
            "div",
            { class: "columns" },
            fields.map((field) => field.node),
        ),
        fields,
        save,
        done: "The health check is saved.",
        changed,
    });
}

export function showHealthCheck(loadBalancer, refresh) {
    const check = loadBalancer.healthCheck;
    const { protocol, port, path } = parts(check.target);
    return [
        heading(
            "Health check",
            button("Edit health check", "edit-health-check", () => edit(loadBalancer, refresh), {
                class: "changes",
            }),
        ),
        facts([
            ["Ping target", check.target],
            ["Ping protocol", protocol],
            ["Ping port", port || "–"],
            ["Ping path", path || "–"],
            ["Timeout", `${check.timeout} seconds`],
            ["Interval", `${check.interval} seconds`],
            ["Unhealthy threshold", check.unhealthy],
            ["Healthy threshold", check.healthy],
        ]),
    ];
}
