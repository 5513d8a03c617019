// Keyboard shortcuts of the log and of a delivery, pausing the log, and copying as curl.
// Without scripts, links and forms do the same.
"use strict";

const steps = () => [...document.querySelectorAll("[data-step]")];
const isTyping = (target) => target.closest?.("input, textarea, select, [contenteditable]");
const selectedRow = () => document.activeElement?.closest("tr[data-id]");

// In the log this moves the focus; on the page of a delivery it opens the next attempt.
function step(by) {
  const links = steps();
  if (!links.length) return;
  const current = links.findIndex((link) => link.ariaCurrent === "true");
  const row = document.activeElement?.closest("tr");
  const at = current >= 0 ? current : links.findIndex((link) => row?.contains(link));
  const next = links[at < 0 ? 0 : Math.min(Math.max(at + by, 0), links.length - 1)];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
  if (current >= 0 && next !== links[current]) next.click();
}

function resend() {
  const button = document.getElementById("resend-button");
  if (button) return button.click();
  const row = selectedRow(), form = document.getElementById("resend-form");
  if (!row || !form) return;
  form.action = `/deliveries/${row.dataset.id}/again/`;
  form.elements.attempt.value = row.dataset.attempt;
  form.requestSubmit();
}

function asCurl() {
  const button = document.getElementById("curl-button");
  if (button) return button.click();
  const row = selectedRow(), form = document.getElementById("resend-form");
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

const SHORTCUTS = {
  j: () => step(1), k: () => step(-1), r: resend, c: asCurl, "/": search,
  "?": () => document.getElementById("shortcuts")?.showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat && !"jk".includes(event.key)) return;
  if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
  if (!Object.hasOwn(SHORTCUTS, event.key)) return;
  event.preventDefault();
  SHORTCUTS[event.key]();
});
if (location.hash === "#q") search();

// Polling stops while the log is paused, a dialog is open, or the page is hidden.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (!["log", "delivery"].includes(event.target.id)) return;
  const paused = event.target.id === "log" && document.getElementById("live")?.checked === false;
  if (paused || document.hidden || document.querySelector("dialog[open]")) event.preventDefault();
});

// Highlight new rows for a moment.
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

// Mark the token as expired while its page is open.
setInterval(() => {
  for (const each of document.querySelectorAll("[data-expires]")) {
    if (Date.parse(each.dataset.expires) > Date.now() + ahead) continue;
    each.firstElementChild.textContent = "Expired";
    each.previousElementSibling.className = "dot dot-bad";
  }
}, 1000);
