// Has the vendor's validator look at the form at every change of a value, and takes over what it
// says. Without this the same is said when the form is sent.
"use strict";

const form = document.getElementById("inquiry");
const FIELD = "[data-field]";
// What may change of a field that the customer is in.
const ATTRIBUTES = ["required", "minlength", "maxlength", "placeholder", "aria-invalid"];
const reached = new Set();
const later = new Map();
let running = null;

const part = (root, name) => root.querySelector(`[data-part="${name}"]`);
const fieldOf = (node) => (node instanceof Element ? node.closest(FIELD) : null);
const find = (root, id) => root.querySelector(`[data-field="${CSS.escape(id)}"]`);
const controls = (field) => [...field.querySelectorAll("input, select, textarea")];
const typed = (field) =>
  JSON.stringify(controls(field).map((c) => (/radio|checkbox/.test(c.type) ? c.checked : c.value)));
const differ = (old, next) => old.outerHTML !== next.outerHTML || typed(old) !== typed(next);
const say = (text) => { part(form, "status").textContent = text; };

function check(field) {
  reached.add(field.dataset.field);
  running?.abort();
  running = new AbortController();
  const sent = new Map([...form.querySelectorAll(FIELD)].map((f) => [f.dataset.field, typed(f)]));
  const body = new URLSearchParams(new FormData(form));
  reached.forEach((id) => body.append("reached", id));
  say(form.dataset.checking);
  fetch(form.dataset.check, { method: "POST", body, signal: running.signal })
    .then(async (answer) => {
      // The request waits for no answer any more; the page says where it stands.
      // (A reload of a form that came back would ask whether to send it again.)
      if (answer.status === 404 || answer.status === 409) return location.replace(form.action);
      if (!answer.ok) throw new Error(String(answer.status));
      return take(new DOMParser().parseFromString(await answer.text(), "text/html"), sent);
    })
    .catch((error) => { if (error.name !== "AbortError") say(form.dataset.failed); });
}

function take(answer, sent) {
  const fresh = part(answer, "fields");
  for (const old of form.querySelectorAll(FIELD)) if (!find(fresh, old.dataset.field)) drop(old);
  let before = null;
  for (const next of fresh.querySelectorAll(FIELD)) {
    const old = find(form, next.dataset.field);
    later.delete(next.dataset.field);
    if (!old) before ? before.after(next) : part(form, "fields").prepend(next);
    else if (isHeld(old, sent)) adjust(old, next);
    else if (differ(old, next)) old.replaceWith(next);
    before = find(form, next.dataset.field);
  }
  const summary = part(answer, "summary").innerHTML;
  // Put there again, an alert is read out again.
  if (part(form, "summary").innerHTML !== summary) part(form, "summary").innerHTML = summary;
  say(part(answer, "status").textContent);
}

// A field that the customer is in, or has changed since the check was sent.
function isHeld(field, sent) {
  const secret = field.querySelector("input[type=password]");
  return field.contains(document.activeElement) || typed(field) !== sent.get(field.dataset.field)
    || Boolean(secret?.value);
}

function adjust(old, next) {
  if (differ(old, next)) later.set(old.dataset.field, [next.cloneNode(true), typed(old)]);
  old.className = next.className;
  for (const name of ["title", "help", "error"]) part(old, name).innerHTML = part(next, name).innerHTML;
  for (const control of [old.querySelector("fieldset"), ...controls(old)].filter((c) => c?.id)) {
    const twin = next.querySelector(`#${CSS.escape(control.id)}`);
    for (const name of twin ? ATTRIBUTES : []) {
      if (twin.hasAttribute(name)) control.setAttribute(name, twin.getAttribute(name));
      else control.removeAttribute(name);
    }
  }
}

function drop(field) {
  const had = field.contains(document.activeElement);
  const next = field.nextElementSibling ?? field.previousElementSibling;
  field.remove();
  if (had) (next && controls(next).find((c) => c.id && !c.disabled) || form.querySelector("button")).focus();
}

form.addEventListener("change", ({ target }) => {
  const field = fieldOf(target);
  if (!field) return;
  // An address is one value: it is checked when the customer leaves it.
  if (field.querySelector("[data-parts]")) field.dataset.changed = "";
  else check(field);
});

form.addEventListener("focusout", ({ target, relatedTarget }) => {
  const field = fieldOf(target);
  if (!field || field.contains(relatedTarget)) return;
  if ("changed" in field.dataset) {
    delete field.dataset.changed;
    return check(field);
  }
  const [next, was] = later.get(field.dataset.field) ?? [];
  later.delete(field.dataset.field);
  if (next && typed(field) === was && !field.querySelector("input[type=password]")) {
    field.replaceWith(next);
  }
});

form.addEventListener("submit", () => running?.abort());
// For browsers that give the focus of a new page to controls only.
addEventListener("load", () => document.querySelector("#summary:not(:focus)")?.focus());
