// Shared by all pages: relative times, menus, copy buttons, dialogs, and selects that submit.
// Pages and forms also work without scripts.
"use strict";

// Platform time minus this machine's time, in milliseconds.
const platformTime = document.querySelector('meta[name="platform-time"]');
let ahead = platformTime ? Date.parse(platformTime.content) - Date.now() : 0;

// A clock of the page, whose `data-now` is new when the server has sent it: time may have moved.
function readClock() {
  const clock = document.querySelector("time[data-now]");
  if (!clock) return;
  ahead = Date.parse(clock.dataset.now) - Date.now();
  delete clock.dataset.now;
}

// As requests_queue.time_format.format_span.
function formatSpan(seconds, units = 2) {
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const at = parts.findIndex(([size]) => seconds >= size);
  if (at < 0) return "0 s";
  const result = [];
  let rest = seconds;
  for (const [size, unit] of parts.slice(at, at + units)) {
    const count = Math.floor(rest / size);
    if (count || !result.length) result.push(`${count} ${unit}`);
    rest -= count * size;
  }
  return result.join(" ");
}

function tick() {
  readClock();
  for (const time of document.querySelectorAll("time[data-time]")) {
    if (time.dataset.time === "clock") {
      time.dateTime = new Date(Date.now() + ahead).toISOString().replace(/\.\d+Z$/, "Z");
      time.textContent = time.dateTime.replace("T", " ").replace("Z", " UTC");
      continue;
    }
    const left = (Date.parse(time.dateTime) - Date.now() - ahead) / 1000;
    const seconds = Math.round(left), units = time.dataset.time === "short" ? 1 : 2;
    // A countdown shows whole remaining seconds, as the server does.
    const text = time.dataset.time === "countdown"
      ? (left > 0 ? `in ${formatSpan(Math.max(1, Math.floor(left)))}` : "now")
      : (seconds > 0 ? `in ${formatSpan(seconds, units)}` : seconds > -2 ? "just now" : `${formatSpan(-seconds, units)} ago`);
    if (time.textContent !== text) time.textContent = text;
  }
}
tick();
setInterval(tick, 1000);
document.addEventListener("htmx:afterSettle", tick);

// Menus close on a click elsewhere and on Escape.
const menus = () => document.querySelectorAll("details.menu[open]");
document.addEventListener("click", (event) => {
  for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of menus()) {
    menu.open = false;
    if (menu.contains(document.activeElement)) menu.querySelector("summary").focus();
    event.preventDefault();
  }
});

// Copy buttons: `data-copy` is the id of the element to copy, or empty to copy `data-text`.
async function copy(button) {
  const from = button.dataset.copy ? document.getElementById(button.dataset.copy) : null;
  const text = from ? (from.value ?? from.textContent) : button.dataset.text;
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    // The clipboard needs TLS and permission: select the text instead.
    if (from) getSelection().selectAllChildren(from);
    button.textContent = from ? "Press Ctrl+C" : "Not copied";
  }
  setTimeout(() => { button.textContent = label; }, 1500);
}
document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("[data-copy]") : null;
  if (button) copy(button);
});

// Close buttons: `data-closes` is the id of the element to remove.
document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("[data-closes]") : null;
  if (button) document.getElementById(button.dataset.closes).remove();
});

// Dialogs: `data-opens` is the id of the <dialog> to open. Without scripts the link's page shows
// the same.
document.addEventListener("click", (event) => {
  const opener = event.target instanceof Element ? event.target.closest("[data-opens]") : null;
  const dialog = opener && document.getElementById(opener.dataset.opens);
  if (!dialog) return;
  event.preventDefault();
  dialog.showModal();
});

// Details with an id stay open when the part of the page that they are in is replaced, and an
// element with an id that is inside of them keeps the focus.
const opened = new Set();
let focused = "";
document.addEventListener("htmx:beforeSwap", (event) => {
  for (const details of event.detail.target.querySelectorAll("details[id][open]")) opened.add(details.id);
  // Another part may be replaced before this one has settled, while nothing has the focus.
  if (document.activeElement?.closest("details[id]")) focused = document.activeElement.id;
});
document.addEventListener("htmx:afterSettle", () => {
  for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
  opened.clear();
  if (focused && document.activeElement === document.body) document.getElementById(focused)?.focus();
  focused = "";
});

// New rows replace older ones: `data-replaces` is the id of the row that goes.
document.addEventListener("htmx:afterSettle", () => {
  for (const row of document.querySelectorAll("[data-replaces]")) document.getElementById(row.dataset.replaces)?.remove();
});

// A button shows that its request runs, and its form is not sent again meanwhile.
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!button || button.formMethod === "dialog" || !event.target.matches("[data-once]")) return;
  if (button.ariaBusy === "true") event.preventDefault();
  button.ariaBusy = "true";
});
document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.target.matches("button")) event.target.ariaBusy = "true";
});
document.addEventListener("htmx:afterRequest", (event) => {
  const button = event.target;
  if (!button.matches("button")) return;
  button.ariaBusy = null;
  // Without a response, or with one of an error that is not shown, the button says what to do.
  const { status } = event.detail.xhr;
  if (button.dataset.failed && (!status || status >= 500)) event.detail.target.textContent = button.dataset.failed;
});

// Selects that submit their form on change; browsers without scripts use the button.
document.addEventListener("change", (event) => {
  if (event.target.matches?.("[data-submits]")) event.target.form.requestSubmit();
});
document.documentElement.classList.add("has-script");
