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

let token = null;

/** What has to come with requests of somebody who is signed in; `null`: nobody is, or need be. */
export function useToken(value) {
    token = value;
}

export async function ask(target, { headers, ...options } = {}) {
    const fields = token === null ? headers : { "X-Elbow-Token": token, ...headers };
    try {
        return await fetch(target, { cache: "no-store", headers: fields, ...options });
    } catch {
        throw new Refused(0, "elbow does not answer. Is it running?");
    }
}

/** What is thrown for an answer; who is signed in no more is asked to sign in again. */
function refused(response, message, isSignedOut = response.status === 401) {
    if (isSignedOut) dispatchEvent(new Event("signed-out"));
    return new Refused(response.status, message || response.statusText);
}

/** Carries out an action of the ELB API and gives back the element with its result. */
export async function act(action, parameters = {}) {
    const form = new URLSearchParams({ Action: action, Version: "2012-06-01" });
    write(form, "", parameters);
    const response = await ask("/", { method: "POST", body: form });
    const root = new DOMParser().parseFromString(await response.text(), "text/xml").documentElement;
    if (response.ok) return child(root, `${action}Result`);
    const error = child(root, "Error");
    const isSignedOut = text(error, "Code") === "MissingAuthenticationToken";
    throw refused(response, text(error, "Message"), isSignedOut);
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
export async function v1(method, path, value, headers) {
    const content = value && JSON.stringify(value);
    const response = await ask(`/v1/${path}`, { method, headers, body: content });
    const body = await response.text();
    let answer;
    try {
        answer = body ? JSON.parse(body) : undefined;
    } catch {
        throw new Refused(response.status, "the answer is not JSON");
    }
    if (response.ok) return answer;
    throw refused(response, answer?.error);
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
    throw refused(response, answer?.error);
}
