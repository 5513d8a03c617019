// What all pages share: times that go on, menus that close, copying, and rows that lead somewhere.
// Without this every page still shows what it shows and every form still works.
"use strict";

// How far the platform's clock is ahead of this machine's.
const platformTime = document.querySelector('meta[name="platform-time"]');
const ahead = platformTime ? Date.parse(platformTime.content) - Date.now() : 0;

function spelled(seconds) {
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const at = parts.findIndex(([size]) => seconds >= size);
  if (at < 0) return "0 s";
  const said = [];
  let rest = seconds;
  for (const [size, unit] of parts.slice(at, at + 2)) {
    const count = Math.floor(rest / size);
    if (count || !said.length) said.push(`${count} ${unit}`);
    rest -= count * size;
  }
  return said.join(" ");
}

function tick() {
  for (const time of document.querySelectorAll("time[data-time]")) {
    const left = (Date.parse(time.dateTime) - Date.now() - ahead) / 1000;
    const seconds = Math.round(left);
    // A countdown has whole seconds that are left, as the server spells them.
    const text = time.dataset.time === "countdown"
      ? (left > 0 ? `in ${spelled(Math.max(1, Math.floor(left)))}` : "now")
      : (seconds > 0 ? `in ${spelled(seconds)}` : seconds > -2 ? "just now" : `${spelled(-seconds)} ago`);
    if (time.textContent !== text) time.textContent = text;
  }
}
tick();
setInterval(tick, 1000);
document.addEventListener("htmx:afterSettle", tick);

// Menus: one at a time, and gone by a click elsewhere or by Escape.
const menus = () => document.querySelectorAll("details.menu[open]");
document.addEventListener("click", (event) => {
  for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of menus()) {
    menu.open = false;
    if (menu.contains(document.activeElement)) menu.querySelector("summary").focus();
  }
});

// Copying: `data-copy` names the element whose text is copied, or is empty for `data-text`.
async function copy(button) {
  const from = button.dataset.copy ? document.getElementById(button.dataset.copy) : null;
  const text = from ? (from.value ?? from.textContent) : button.dataset.text;
  const said = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    // No clipboard without TLS or permission: the text is at least selected.
    if (from) getSelection().selectAllChildren(from);
    button.textContent = from ? "Press Ctrl+C" : "Not copied";
  }
  setTimeout(() => { button.textContent = said; }, 1500);
}
document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("[data-copy]") : null;
  if (button) copy(button);
});

// Dialogs: `data-opens` names the <dialog> that a link or button opens; the link's page has the
// same for a browser without scripts.
document.addEventListener("click", (event) => {
  const opener = event.target instanceof Element ? event.target.closest("[data-opens]") : null;
  const dialog = opener && document.getElementById(opener.dataset.opens);
  if (!dialog) return;
  event.preventDefault();
  dialog.showModal();
});

// Selects that send their form at once: the button beside is for browsers without scripts.
document.addEventListener("change", (event) => {
  if (event.target.matches?.("[data-submits]")) event.target.form.requestSubmit();
});
document.documentElement.classList.add("has-script");
