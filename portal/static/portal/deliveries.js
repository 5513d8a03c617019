// The log and a delivery by keyboard, the pause of the log, and the command that is copied.
// Without this both pages show all the same, and links and forms do the rest.
"use strict";

const steps = () => [...document.querySelectorAll("[data-step]")];
const isTyping = (target) => target.closest?.("input, textarea, select, [contenteditable]");
const chosen = () => document.activeElement?.closest("tr[data-id]");

// In the log the focus moves from row to row; of a delivery the attempt itself is changed.
function step(by) {
  const found = steps();
  if (!found.length) return;
  const current = found.findIndex((link) => link.ariaCurrent === "true");
  const row = document.activeElement?.closest("tr");
  const at = current >= 0 ? current : found.findIndex((link) => row?.contains(link));
  const next = found[at < 0 ? 0 : Math.min(Math.max(at + by, 0), found.length - 1)];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
  if (current >= 0 && next !== found[current]) next.click();
}

function sendAgain() {
  const button = document.getElementById("again-button");
  if (button) return button.click();
  const row = chosen(), form = document.getElementById("again-any");
  if (!row || !form) return;
  form.action = `/deliveries/${row.dataset.id}/again/`;
  form.elements.attempt.value = row.dataset.attempt;
  form.requestSubmit();
}

function asCurl() {
  const button = document.getElementById("curl-button");
  if (button) return button.click();
  const row = chosen(), form = document.getElementById("again-any");
  if (!row || !form) return;
  const token = form.elements.csrfmiddlewaretoken.value;
  htmx.ajax("POST", `/deliveries/${row.dataset.id}/curl/`, {
    target: "#curl-body", values: { attempt: row.dataset.attempt, csrfmiddlewaretoken: token },
  });
}

function search() {
  const field = document.getElementById("q");
  if (!field) return location.assign("/deliveries/#q");
  field.focus();
  field.select();
}

const KEYS = {
  j: () => step(1), k: () => step(-1), r: sendAgain, c: asCurl, "/": search,
  "?": () => document.getElementById("keys")?.showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat && !"jk".includes(event.key)) return;
  if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
  if (!Object.hasOwn(KEYS, event.key)) return;
  event.preventDefault();
  KEYS[event.key]();
});
if (location.hash === "#q") search();

// Nothing is asked for while the log is paused, a menu or a dialog is open, or nobody looks.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (!["log", "delivery"].includes(event.target.id)) return;
  const paused = event.target.id === "log" && document.getElementById("live")?.checked === false;
  if (paused || document.hidden || document.querySelector("dialog[open]")) event.preventDefault();
});

// Rows that weren't there are marked for a moment.
let known = null;
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.target.id === "log") known = new Set(steps().map((link) => link.id));
});
document.addEventListener("htmx:afterSettle", () => {
  if (!known) return;
  for (const link of steps()) if (!known.has(link.id)) link.closest("tr")?.classList.add("is-new");
  known = null;
});

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.target.id !== "curl-body") return;
  const dialog = document.getElementById("curl");
  if (!dialog.open) dialog.showModal();
  document.getElementById("curl-copy")?.click();
});

// A token that is being looked at runs out.
setInterval(() => {
  for (const said of document.querySelectorAll("[data-expires]")) {
    if (Date.parse(said.dataset.expires) > Date.now() + ahead) continue;
    said.firstElementChild.textContent = "Expired";
    said.previousElementSibling.className = "dot dot-bad";
  }
}, 1000);
