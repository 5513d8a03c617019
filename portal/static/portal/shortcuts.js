// Keyboard shortcuts of all pages; the dialog #shortcuts lists them.
// `data-step` marks the link of each row of a list.
"use strict";

const steps = () => [...document.querySelectorAll("[data-step]")].filter((link) => link.checkVisibility());
const isTyping = (target) => target.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
const isBusy = () => document.querySelector("dialog[open], details.menu[open]");
const rowOf = (element) => element?.closest("[data-row], [data-id], tr, li");

// In a list this moves the focus; on the page of a delivery it opens the next attempt.
function step(by) {
  const links = steps();
  if (!links.length) return;
  const current = links.findIndex((link) => link.ariaCurrent === "true");
  const row = rowOf(document.activeElement);
  const at = current >= 0 ? current : links.findIndex((link) => row?.contains(link));
  const next = links[at < 0 ? 0 : Math.min(Math.max(at + by, 0), links.length - 1)];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
  if (current >= 0 && next !== links[current]) next.click();
}

function open() {
  const row = rowOf(document.activeElement);
  steps().find((link) => row?.contains(link))?.click();
}

const press = (id) => document.getElementById(id)?.click();

function search() {
  const field = document.querySelector('main [role="search"] input:not([type="hidden"], [type="checkbox"])');
  if (!field) return openPalette();
  field.focus();
  field.select();
}

// A list remembers the row that was opened, and the page of an object returns to it.
const sectionOf = (path) => path.split("/")[1];
const here = () => location.pathname + location.search;
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-step]");
  if (!link || link.ariaCurrent) return;
  const place = { url: here(), row: link.id, opened: link.pathname };
  sessionStorage.setItem(`list ${sectionOf(link.pathname)}`, JSON.stringify(place));
});

function back() {
  const path = location.pathname, place = JSON.parse(sessionStorage.getItem(`list ${sectionOf(path)}`));
  const isObject = /[0-9][^/]*\/$/.test(path);
  if (place && (isObject || path.startsWith(place.opened))) {
    sessionStorage.setItem("focus", JSON.stringify(place));
    location.assign(place.url);
  } else if (isObject) location.assign(path.replace(/[^/]+\/$/, ""));
}

function focusReturned() {
  const place = JSON.parse(sessionStorage.getItem("focus"));
  sessionStorage.removeItem("focus");
  if (place?.url === here()) document.getElementById(place.row)?.focus();
}
focusReturned();

const SHORTCUTS = {
  j: () => step(1), k: () => step(-1), o: open, Escape: back,
  r: () => press("resend-button"), c: () => press("curl-button"), "/": search,
  "?": () => document.getElementById("shortcuts")?.showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat && !"jk".includes(event.key)) return;
  if (event.defaultPrevented || isTyping(event.target) || isBusy()) return;
  if (!Object.hasOwn(SHORTCUTS, event.key)) return;
  event.preventDefault();
  SHORTCUTS[event.key]();
});
