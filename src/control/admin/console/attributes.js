// The tab "Attributes".

import { act, child, members, text } from "./api.js";
import { button, element, facts, heading } from "./dom.js";
import { choiceField, openDialog, required, switchField, textField, whole } from "./form.js";

const DESYNC = "elb.http.desyncmitigationmode";

function readAttributes(result) {
    const all = child(result, "LoadBalancerAttributes");
    const [log, draining] = [child(all, "AccessLog"), child(all, "ConnectionDraining")];
    const additional = members(all, "AdditionalAttributes");
    return {
        idle: text(child(all, "ConnectionSettings"), "IdleTimeout"),
        crossesZones: text(child(all, "CrossZoneLoadBalancing"), "Enabled") === "true",
        drains: text(draining, "Enabled") === "true",
        drainSeconds: text(draining, "Timeout") || "300",
        logs: text(log, "Enabled") === "true",
        bucket: text(log, "S3BucketName"),
        prefix: text(log, "S3BucketPrefix"),
        interval: text(log, "EmitInterval") || "60",
        desync:
            text(
                additional.find((member) => text(member, "Key") === DESYNC),
                "Value",
            ) || "defensive",
    };
}

function edit(loadBalancer, now, changed) {
    const idle = textField({
        label: "Idle timeout (seconds)",
        value: now.idle,
        isNumber: true,
        check: whole(1, 4000),
        about: /idle/i,
    });
    const cross = switchField({
        label: "Enable cross-zone load balancing",
        value: now.crossesZones,
    });
    const drain = switchField({ label: "Enable connection draining", value: now.drains });
    const seconds = textField({
        label: "Draining timeout (seconds)",
        value: now.drainSeconds,
        isNumber: true,
        check: whole(1, 3600),
        about: /drain/i,
    });
    const desync = choiceField({
        label: "Desync mitigation mode",
        value: now.desync,
        options: ["monitor", "defensive", "strictest"],
        about: /desync/i,
    });
    const logs = switchField({ label: "Enable access logs", value: now.logs });
    const interval = choiceField({
        label: "Interval (minutes)",
        value: now.interval,
        options: ["5", "60"],
        about: /interval/i,
    });
    const bucket = textField({
        label: "S3 bucket",
        value: now.bucket,
        hint: "A folder of that name below the directory of access logs.",
        check: required("the name of the bucket"),
        about: /bucket/i,
    });
    const prefix = textField({ label: "Prefix (optional)", value: now.prefix, about: /prefix/i });
    const fields = [idle, desync, cross, drain, seconds, logs, interval, prefix, bucket];
    const update = () => {
        seconds.show(drain.value);
        [interval, bucket, prefix].forEach((field) => field.show(logs.value));
    };
    [drain, logs].forEach((field) => field.input.addEventListener("change", update));
    update();
    const save = () =>
        act("ModifyLoadBalancerAttributes", {
            LoadBalancerName: loadBalancer.name,
            LoadBalancerAttributes: {
                ConnectionSettings: { IdleTimeout: idle.value },
                CrossZoneLoadBalancing: { Enabled: cross.value },
                ConnectionDraining: drain.value
                    ? { Enabled: true, Timeout: seconds.value }
                    : { Enabled: false },
                AccessLog: logs.value
                    ? {
                          Enabled: true,
                          EmitInterval: interval.value,
                          S3BucketName: bucket.value,
                          S3BucketPrefix: prefix.value,
                      }
                    : { Enabled: false },
                AdditionalAttributes: [{ Key: DESYNC, Value: desync.value }],
            },
        });
    openDialog({
        title: "Edit attributes",
        content: element(
            "div",
            {},
            [idle, desync, cross, drain, seconds, logs, interval, bucket, prefix].map(
                (field) => field.node,
            ),
        ),
        fields,
        save,
        done: "The attributes are saved.",
        changed,
    });
}

export async function showAttributes(loadBalancer, refresh) {
    const now = readAttributes(
        await act("DescribeLoadBalancerAttributes", { LoadBalancerName: loadBalancer.name }),
    );
    const place = [now.bucket, now.prefix].filter(Boolean).join("/");
    return [
        heading(
            "Attributes",
            button("Edit attributes", "edit-attributes", () => edit(loadBalancer, now, refresh), {
                class: "changes",
            }),
        ),
        facts([
            ["Idle timeout", `${now.idle} seconds`],
            [
                "Connection draining",
                now.drains ? `Enabled, ${now.drainSeconds} seconds` : "Disabled",
            ],
            ["Cross-zone load balancing", now.crossesZones ? "Enabled" : "Disabled"],
            ["Desync mitigation mode", now.desync],
            ["Access logs", now.logs ? `Every ${now.interval} minutes to ${place}` : "Disabled"],
        ]),
    ];
}
