// The tab "Listeners".

import { act } from "./api.js";
import { button, element, heading, table } from "./dom.js";
import { choiceField, openDialog, required, textField, whole } from "./form.js";
import { stickinessWords } from "./model.js";
import { stickinessButton } from "./stickiness.js";

/** What instances may speak behind a listener: requests or bytes, with TLS or without. */
const PROTOCOLS = { HTTP: "HTTP", HTTPS: "HTTP", TCP: "TCP", SSL: "TCP" };

const hasCertificate = (protocol) => protocol === "HTTPS" || protocol === "SSL";

/** The fields of a new listener, and what the ELB API is told by them. */
export function listenerFields({ port = "", instancePort = "" } = {}) {
    const options = Object.keys(PROTOCOLS);
    const number = (label, value, about) =>
        textField({ label, value, isNumber: true, check: whole(1, 65535), about });
    const protocol = choiceField({ label: "Load Balancer Protocol", value: "HTTP", options });
    const outer = number("Load Balancer Port", port, /LoadBalancerPort|listener already exists/i);
    const instanceProtocol = choiceField({
        label: "Instance Protocol",
        value: "HTTP",
        options,
        about: /protocol/i,
    });
    const inner = number("Instance Port", instancePort, /InstancePort/i);
    const certificate = textField({
        label: "SSL Certificate",
        hint: "The ARN of a certificate that elbow knows.",
        check: required("the ARN of a certificate"),
        about: /certificate/i,
    });
    const update = () => {
        instanceProtocol.input.value = PROTOCOLS[protocol.value];
        certificate.show(hasCertificate(protocol.value));
    };
    protocol.input.addEventListener("change", update);
    update();
    const value = () => ({
        Protocol: protocol.value,
        LoadBalancerPort: outer.value,
        InstanceProtocol: instanceProtocol.value,
        InstancePort: inner.value,
        SSLCertificateId: hasCertificate(protocol.value) ? certificate.value : undefined,
    });
    return { fields: [protocol, outer, instanceProtocol, inner, certificate], value };
}

function add(loadBalancer, changed) {
    const { fields, value } = listenerFields();
    openDialog({
        title: "Add listener",
        content: element(
            "div",
            {},
            fields.map((field) => field.node),
        ),
        fields,
        action: "Add",
        save: () =>
            act("CreateLoadBalancerListeners", {
                LoadBalancerName: loadBalancer.name,
                Listeners: [value()],
            }),
        done: "The listener is added.",
        changed,
    });
}

function remove(loadBalancer, listener, changed) {
    openDialog({
        title: `Delete the listener at port ${listener.port}?`,
        content: element("p", {}, "Clients cannot connect to that port any more."),
        action: "Delete",
        danger: true,
        save: () =>
            act("DeleteLoadBalancerListeners", {
                LoadBalancerName: loadBalancer.name,
                LoadBalancerPorts: [listener.port],
            }),
        done: `The listener at port ${listener.port} is deleted.`,
        changed,
    });
}

export function showListeners(loadBalancer, refresh) {
    const rows = loadBalancer.listeners.map((listener) => [
        `${listener.protocol} ${listener.port}`,
        `${listener.instanceProtocol} ${listener.instancePort}`,
        listener.certificate || "–",
        listener.policies.join(", ") || "–",
        stickinessWords(loadBalancer, listener),
        element(
            "div",
            { class: "actions" },
            stickinessButton(loadBalancer, listener, refresh),
            button(
                "Delete",
                `delete-${listener.port}`,
                () => remove(loadBalancer, listener, refresh),
                {
                    "aria-label": `Delete the listener at port ${listener.port}`,
                    class: "changes",
                },
            ),
        ),
    ]);
    const headings = [
        "Load balancer",
        "Instance",
        "SSL certificate",
        "Policies",
        "Stickiness",
        "Actions",
    ];
    return [
        heading(
            "Listeners",
            button("Add listener", "add-listener", () => add(loadBalancer, refresh), {
                class: "changes",
            }),
        ),
        table("Listeners", headings, rows, "There is no listener."),
    ];
}
