// Validates the form at every change of a value and shows the result. Without this script the form
// is validated when it is submitted.
"use strict";

const form = document.getElementById("inquiry");
const FIELD = "[data-field]";
// What may change of a field that the customer is in.
const ATTRIBUTES = ["required", "minlength", "maxlength", "placeholder", "aria-invalid"];
const reached = new Set();
const later = new Map();
// Input events per field, so that a field that was changed and changed back counts as changed.
const edits = new Map();
let running = null;
let scheduled = 0;
let page = newPage();
let number = 0;

const part = (root, name) => root.querySelector(`[data-part="${name}"]`);
const fieldOf = (node) => (node instanceof Element ? node.closest(FIELD) : null);
const find = (root, id) => root.querySelector(`[data-field="${CSS.escape(id)}"]`);
const controls = (field) => [...field.querySelectorAll("input, select, textarea")];
const typed = (field) =>
  JSON.stringify(controls(field).map((c) => (/radio|checkbox/.test(c.type) ? c.checked : c.value)));
const state = (field) => `${edits.get(field.dataset.field) ?? 0} ${typed(field)}`;
const differ = (old, next) => old.outerHTML !== next.outerHTML || typed(old) !== typed(next);
const say = (text) => { part(form, "status").textContent = text; };

// The id of one load of the page, by which the server knows the order of its checks.
function newPage() {
  return Array.from(crypto.getRandomValues(new Uint8Array(10)), (b) => b.toString(16).padStart(2, "0")).join("");
}

// Enter in a field changes it and submits the form in one task: then there is nothing to check.
function schedule(field) {
  reached.add(field.dataset.field);
  clearTimeout(scheduled);
  scheduled = setTimeout(check);
}

async function check() {
  running?.abort();
  const { signal } = running = new AbortController();
  // What an earlier response holds for a field until it loses the focus is outdated now.
  later.clear();
  const sent = new Map([...form.querySelectorAll(FIELD)].map((f) => [f.dataset.field, state(f)]));
  const body = new URLSearchParams(new FormData(form));
  reached.forEach((id) => body.append("reached", id));
  say(form.dataset.checking);
  try {
    const response = await fetch(form.dataset.check, { method: "POST", body, signal });
    const text = await response.text();
    // A newer check may have started while the body was read.
    if (signal.aborted) return;
    // Not a reload: that would ask whether to submit the form again.
    if (response.status === 404 || response.status === 409) location.replace(form.action);
    else if (response.status === 204) say(form.dataset.superseded);
    else if (response.ok) take(new DOMParser().parseFromString(text, "text/html"), sent);
    else say(form.dataset.failed);
  } catch {
    if (!signal.aborted) say(form.dataset.failed);
  }
}

// Shows a response; a field that has changed since the request was sent is left as it is.
function take(response, sent) {
  const fresh = part(response, "fields");
  const isChanged = (field) => state(field) !== sent.get(field.dataset.field);
  for (const old of form.querySelectorAll(FIELD)) {
    if (!find(fresh, old.dataset.field) && !isChanged(old)) drop(old);
  }
  let before = null;
  for (const next of fresh.querySelectorAll(FIELD)) {
    const old = find(form, next.dataset.field);
    if (!old) before ? before.after(next) : part(form, "fields").prepend(next);
    else if (!isChanged(old)) {
      if (isHeld(old)) adjust(old, next);
      else if (differ(old, next)) old.replaceWith(next);
    }
    before = find(form, next.dataset.field);
  }
  const summary = part(response, "summary").innerHTML;
  // Screen readers announce an alert again when its content is set again.
  if (part(form, "summary").innerHTML !== summary) part(form, "summary").innerHTML = summary;
  say(part(response, "status").textContent);
}

// A field that has the focus, or a password, which a response never contains.
function isHeld(field) {
  const secret = field.querySelector("input[type=password]");
  return field.contains(document.activeElement) || Boolean(secret?.value);
}

function adjust(old, next) {
  if (differ(old, next)) later.set(old.dataset.field, [next.cloneNode(true), state(old)]);
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

form.addEventListener("input", ({ target }) => {
  const id = fieldOf(target)?.dataset.field;
  if (id) edits.set(id, (edits.get(id) ?? 0) + 1);
});

form.addEventListener("formdata", ({ formData }) => {
  number += 1;
  formData.set("page", page);
  formData.set("number", number);
});

form.addEventListener("change", ({ target }) => {
  const field = fieldOf(target);
  if (!field) return;
  // An address is one value: it is checked when the customer leaves it.
  if (field.querySelector("[data-parts]")) field.dataset.changed = "";
  else schedule(field);
});

form.addEventListener("focusout", ({ target, relatedTarget }) => {
  const field = fieldOf(target);
  if (!field || field.contains(relatedTarget)) return;
  if ("changed" in field.dataset) {
    delete field.dataset.changed;
    return schedule(field);
  }
  const [next, was] = later.get(field.dataset.field) ?? [];
  later.delete(field.dataset.field);
  if (next && state(field) === was && !field.querySelector("input[type=password]")) {
    field.replaceWith(next);
  }
});

form.addEventListener("submit", () => {
  clearTimeout(scheduled);
  running?.abort();
});
// A submission supersedes the checks of its page, also where the browser goes back to that page.
addEventListener("pageshow", ({ persisted }) => { if (persisted) page = newPage(); });
// For browsers where autofocus works on controls only; not on "load", when the customer may have
// moved the focus already.
if (document.activeElement === document.body) document.getElementById("summary")?.focus();
