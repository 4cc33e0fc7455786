// Forms and dialogs with fields. What is wrong is said at the field that it concerns, which gets the focus.

import { announce, element } from "./dom.js";

let count = 0;

/** A field around an input, with `hint` below it. `check` says what is wrong with a value, if
 * anything is; `about` is what a refusal of elbow has in it that concerns this field. */
function fieldOf(input, { label, hint, check = () => undefined, about, stack = true }) {
    const id = `field-${++count}`;
    input.id = id;
    const error = element("p", { id: `${id}-error`, class: "error" });
    const hints = hint ? element("p", { id: `${id}-hint`, class: "hint" }, hint) : undefined;
    input.setAttribute("aria-describedby", `${hint ? `${id}-hint ` : ""}${id}-error`);
    const name = element("label", { for: id }, label);
    const field = {
        node: element(
            "div",
            { class: stack ? "field" : "field inline" },
            stack ? [name, input] : [input, name],
            hints,
            error,
        ),
        input,
        about,
        get value() {
            return input.type === "checkbox" ? input.checked : input.value.trim();
        },
        problem: () => (input.disabled ? undefined : check(field.value)),
        say(message) {
            error.textContent = message ?? "";
            input.setAttribute("aria-invalid", message !== undefined);
        },
        /** Fields that do not matter are not there: neither seen nor checked. */
        show(isShown) {
            field.node.hidden = !isShown;
            input.disabled = !isShown;
        },
    };
    input.addEventListener("input", () => field.say());
    return field;
}

/** A line of text; a number is one too, for which a phone has other keys. */
export function textField({ value = "", isNumber = false, input = {}, ...rest }) {
    const attributes = { type: "text", value, autocomplete: "off", spellcheck: "false", ...input };
    if (isNumber) attributes.inputmode = "numeric";
    return fieldOf(element("input", attributes), rest);
}

export function choiceField({ value, options, ...rest }) {
    const nodes = options.map((option) =>
        element("option", { selected: option === value }, option),
    );
    return fieldOf(element("select", {}, nodes), rest);
}

export function switchField({ value, ...rest }) {
    return fieldOf(element("input", { type: "checkbox", checked: value }), {
        ...rest,
        stack: false,
    });
}

/** A check that a value is a whole number within these bounds. */
export function whole(from, to) {
    return (value) =>
        /^\d+$/.test(value) && Number(value) >= from && Number(value) <= to
            ? undefined
            : `Enter a whole number from ${from} to ${to}.`;
}

export function required(what) {
    return (value) => (value === "" ? `Enter ${what}.` : undefined);
}

/** A form. `save` does what it is for, and `done` what follows unless that is refused. */
export function formOf({ content, fields, submit, others, save, done }) {
    const trouble = element("p", { class: "error", role: "alert" });
    const actions = element("div", { class: "actions" }, submit, others);
    const form = element("form", { novalidate: true }, content, trouble, actions);

    function fail(field, message) {
        if (!field) {
            trouble.textContent = message;
            return;
        }
        field.say(message);
        field.input.focus();
    }

    form.addEventListener("submit", async (event) => {
        event.preventDefault();
        if (submit.disabled) return;
        trouble.textContent = "";
        fields.forEach((field) => field.say(field.problem()));
        const wrong = fields.find((field) => field.problem());
        if (wrong) {
            wrong.input.focus();
            return;
        }
        submit.disabled = true;
        try {
            await save();
        } catch (error) {
            const asked = fields.filter((field) => !field.input.disabled);
            fail(
                asked.find((field) => field.about?.test(error.about ?? error.message)),
                error.message,
            );
            return;
        } finally {
            submit.disabled = false;
        }
        await done();
    });
    return form;
}

/** Opens a dialog, which stays if what it is for is refused; `done` is what is said afterwards, and
 * `changed` draws what has changed. */
export function openDialog({
    title,
    content,
    fields = [],
    action = "Save",
    danger,
    save,
    done,
    changed,
}) {
    const submit = element(
        "button",
        { type: "submit", class: danger ? "danger" : "primary" },
        action,
    );
    const cancel = element("button", { type: "button", onclick: () => dialog.close() }, "Cancel");
    const heading = element("h2", { id: "dialog-title" }, title);
    const form = formOf({
        content: [heading, content],
        fields,
        submit,
        others: cancel,
        save,
        done: async () => {
            dialog.close();
            announce(done);
            await changed();
        },
    });
    const dialog = element("dialog", { "aria-labelledby": "dialog-title" }, form);
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
}

/** Several lines of text, or a long one. */
export function areaField(rest) {
    const attributes = { rows: 4, autocomplete: "off", spellcheck: "false" };
    return fieldOf(element("textarea", attributes), rest);
}

/** One of several ways under a name, with what belongs to it inside. */
export function choice(name, value, label, chosen, onchange, ...inside) {
    const id = `${name}-${value}`;
    const checked = value === chosen;
    const radio = element("input", { type: "radio", name, id, value, checked, onchange });
    return element("div", { class: "choice" }, radio, element("label", { for: id }, label), inside);
}
