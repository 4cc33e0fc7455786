// Asks elbow: the ELB API (version 2012-06-01) by forms and XML, and /v1 by JSON.

/** Why elbow did not do it, in its words; `about` is the part of them that says what is wrong. */
export class Refused extends Error {
    constructor(status, message) {
        super(message);
        this.status = status;
        // As AWS names a parameter beside the value that somebody gave it.
        const [, parameter] = / at '([^']+)' failed /.exec(message) ?? [];
        this.about = parameter ?? message;
    }
}

async function ask(target, options) {
    try {
        return await fetch(target, { cache: "no-store", ...options });
    } catch {
        throw new Refused(0, "elbow does not answer. Is it running?");
    }
}

/** Carries out an action of the ELB API and gives back the element with its result. */
export async function act(action, parameters = {}) {
    const form = new URLSearchParams({ Action: action, Version: "2012-06-01" });
    write(form, "", parameters);
    const response = await ask("/", { method: "POST", body: form });
    const root = new DOMParser().parseFromString(await response.text(), "text/xml").documentElement;
    if (response.ok) return child(root, `${action}Result`);
    const error = child(root, "Error");
    throw new Refused(response.status, text(error, "Message") || response.statusText);
}

/** Lists as `Name.member.1`, structures as `Name.Key`; an empty list is an empty value. */
function write(form, prefix, value) {
    for (const [key, inner] of Object.entries(value)) {
        const name = prefix + key;
        if (inner === undefined) continue;
        if (Array.isArray(inner) && inner.length > 0) {
            write(
                form,
                `${name}.member.`,
                Object.fromEntries(inner.map((member, index) => [index + 1, member])),
            );
        } else if (typeof inner === "object" && !Array.isArray(inner))
            write(form, `${name}.`, inner);
        else form.append(name, inner);
    }
}

/** Asks /v1; `undefined` where there is no body. */
export async function v1(method, path, value) {
    const response = await ask(`/v1/${path}`, { method, body: value && JSON.stringify(value) });
    const body = await response.text();
    let answer;
    try {
        answer = body ? JSON.parse(body) : undefined;
    } catch {
        throw new Refused(response.status, "the answer is not JSON");
    }
    if (response.ok) return answer;
    throw new Refused(response.status, answer?.error ?? response.statusText);
}

/** The first child of that name, or `undefined`. */
export function child(node, name) {
    return [...(node?.children ?? [])].find((inner) => inner.localName === name);
}

/** What the child of that name says; empty where there is none. */
export function text(node, name) {
    return child(node, name)?.textContent ?? "";
}

/** The members of the list of that name. */
export function members(node, name) {
    return [...(child(node, name)?.children ?? [])];
}

/** Asks /v1 for what has no end until `signal` says so; gives back the bytes as they come. */
export async function stream(path, signal) {
    const response = await ask(`/v1/${path}`, { signal });
    if (response.ok) return response.body;
    const answer = await response.json().catch(() => undefined);
    throw new Refused(response.status, answer?.error ?? response.statusText);
}
