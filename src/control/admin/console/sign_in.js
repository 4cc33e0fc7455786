// Signing in: one signed request, for which the browser gets a cookie. The secret stays in the page.

import { ask, v1 } from "./api.js";
import { button, element } from "./dom.js";
import { formOf, required, textField } from "./form.js";
import { hex, hmac, sha256 } from "./sha256.js";

const PATH = "/v1/sign-in";

/** What elbow's clock shows, such as 20150830T123600Z: that of the browser may be wrong. */
async function now() {
    const response = await ask(PATH);
    return new Date(response.headers.get("Date")).toISOString().replace(/[-:]|\.\d+/g, "");
}

/** The fields that sign a request without a body (AWS Signature Version 4). One of them is random,
 * as a signature changes something only once. */
export function signed(method, path, host, id, secret, time) {
    const scope = `${time.slice(0, 8)}/us-east-1/elasticloadbalancing/aws4_request`;
    const number = hex(crypto.getRandomValues(new Uint8Array(16)));
    const fields = { "amz-sdk-invocation-id": number, host, "x-amz-date": time };
    const names = Object.keys(fields).join(";");
    const lines = Object.entries(fields).map(([name, value]) => `${name}:${value}`);
    const request = [method, path, "", ...lines, "", names, hex(sha256(""))].join("\n");
    const text = ["AWS4-HMAC-SHA256", time, scope, hex(sha256(request))].join("\n");
    const signature = hex(hmac(scope.split("/").reduce(hmac, `AWS4${secret}`), text));
    return {
        "amz-sdk-invocation-id": number,
        "x-amz-date": time,
        authorization: `AWS4-HMAC-SHA256 Credential=${id}/${scope}, SignedHeaders=${names}, Signature=${signature}`,
    };
}

/** What is wrong, in the words of the page. */
function inWords(error) {
    const words = {
        "The security token": "There is no such access key ID.",
        "The request signature": "That is not the secret access key of this ID.",
    };
    const known = Object.keys(words).find((start) => error.message.startsWith(start));
    if (known) error.message = error.about = words[known];
    return error;
}

async function signIn(id, secret) {
    const fields = signed("POST", PATH, location.host, id, secret, await now());
    try {
        return await v1("POST", "sign-in", undefined, fields);
    } catch (error) {
        throw inWords(error);
    }
}

/** The page that asks who somebody is. `done` gets to know it. */
export function showSignIn(note, done) {
    const id = textField({
        label: "Access key ID",
        input: { name: "username", autocomplete: "username", autocapitalize: "none" },
        check: required("an access key ID"),
        about: /no such access key ID/,
    });
    const secret = textField({
        label: "Secret access key",
        input: { name: "password", type: "password", autocomplete: "current-password" },
        check: required("its secret access key"),
        about: /not the secret access key/,
    });
    let account;
    const form = formOf({
        content: element("div", {}, id.node, secret.node),
        fields: [id, secret],
        submit: element("button", { type: "submit", class: "primary" }, "Sign in"),
        save: async () => (account = await signIn(id.value, secret.value)),
        done: () => done(account),
    });
    return element(
        "section",
        { class: "sign-in" },
        element("h1", { tabindex: "-1" }, "Sign in"),
        element("p", {}, note),
        form,
        element(
            "p",
            { class: "hint" },
            "With one of the credentials of elbow's configuration. The secret is used to sign and is not sent.",
        ),
    );
}

/** Who is signed in, for the top of each page. */
export function showAccount({ who, read_only, token }, signOut) {
    if (token === null) return [];
    const words = element("span", {}, who, read_only ? " · read-only" : "");
    return [words, button("Sign out", "sign-out", signOut)];
}
