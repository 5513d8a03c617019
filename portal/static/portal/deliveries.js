// The log and the page of a delivery: what the keys r and c do with a row, pausing the log, copying
// as curl. Without scripts, links and forms do the same.
"use strict";

// Rows have no buttons, so the keys submit a form of the page for the selected row.
const selectedRow = () => document.activeElement?.closest("tr[data-id]");

SHORTCUTS.r = () => {
  const row = selectedRow(), form = document.getElementById("resend-form");
  if (!row || !form) return press("resend-button");
  form.action = `/deliveries/${row.dataset.id}/again/`;
  form.elements.attempt.value = row.dataset.attempt;
  form.requestSubmit();
};

SHORTCUTS.c = () => {
  const row = selectedRow(), form = document.getElementById("resend-form");
  if (!row || !form) return press("curl-button");
  const token = form.elements.csrfmiddlewaretoken.value;
  htmx.ajax("POST", `/deliveries/${row.dataset.id}/curl/`, {
    target: "#curl-body", values: { attempt: row.dataset.attempt, csrfmiddlewaretoken: token },
  });
};

// A click anywhere on a row opens its link, unless it is on a control or selects text.
document.addEventListener("click", (event) => {
  const row = event.target.closest?.("tr[data-opens-link]");
  if (!row || event.target.closest("a, button, input, label, summary") || getSelection().toString()) return;
  const { ctrlKey, metaKey, shiftKey } = event;
  const click = new MouseEvent("click", { ctrlKey, metaKey, shiftKey, bubbles: true, cancelable: true });
  row.querySelector("[data-step]").dispatchEvent(click);
});

// Dragging over the volume chart selects a range of time; a bar is a link without scripts, too.
let brush = null;
const placeAt = (svg, x) => {
  const box = svg.getBoundingClientRect(), places = Number(svg.dataset.places);
  return Math.min(places - 1, Math.max(0, Math.floor((x - box.left) / box.width * places)));
};
document.addEventListener("pointerdown", (event) => {
  const svg = event.target.closest?.("svg[data-volume]");
  if (svg && event.button === 0) brush = { svg, x: event.clientX, from: placeAt(svg, event.clientX) };
});
document.addEventListener("pointermove", (event) => {
  if (!brush || !brush.mark && Math.abs(event.clientX - brush.x) < 5) return;
  if (!brush.mark) {
    brush.mark = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    brush.mark.setAttribute("class", "brush");
    brush.mark.setAttribute("height", 100);
    brush.svg.append(brush.mark);
  }
  brush.to = placeAt(brush.svg, event.clientX);
  brush.mark.setAttribute("x", Math.min(brush.from, brush.to));
  brush.mark.setAttribute("width", Math.abs(brush.to - brush.from) + 1);
});
document.addEventListener("pointerup", () => {
  const { svg, mark, from, to } = brush ?? {};
  brush = null;
  if (!mark) return;
  const at = (place) => new Date(Date.parse(svg.dataset.start) + place * svg.dataset.minutes * 60_000)
    .toISOString().slice(0, 16);
  const range = `after:${at(Math.min(from, to))} before:${at(Math.max(from, to) + 1)}`;
  location.assign(`?q=${encodeURIComponent(`${svg.dataset.volume} ${range}`.trim())}`);
});
document.addEventListener("pointercancel", () => { brush?.mark?.remove(); brush = null; });
// A browser would drag the link of a bar instead.
document.addEventListener("dragstart", (event) => {
  if (event.target.closest?.("svg[data-volume]")) event.preventDefault();
});

// Selected rows, and open parts, stay so when polling replaces the log.
const boxes = () => [...document.querySelectorAll('#log input[name="delivery"]:enabled')];
let selected = new Set();
function showSelected() {
  const all = document.getElementById("select-all"), button = document.getElementById("bulk-button");
  selected = new Set(boxes().filter((box) => box.checked).map((box) => box.value));
  if (all) {
    all.checked = selected.size > 0 && selected.size === boxes().length;
    all.indeterminate = selected.size > 0 && !all.checked;
  }
  if (!button) return;
  button.disabled = !selected.size;
  button.textContent = selected.size ? `Send ${selected.size} selected again` : "Send selected again";
}
document.addEventListener("change", (event) => {
  if (event.target.id === "select-all") for (const box of boxes()) box.checked = event.target.checked;
  if (event.target.id === "select-all" || event.target.name === "delivery") showSelected();
});
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id !== "log") return;
  for (const box of boxes()) box.checked = selected.has(box.value);
  showSelected();
});
showSelected();

// Polling stops while the log is paused, a dialog is open, or the page is hidden.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (!["log", "delivery"].includes(event.target.id)) return;
  const isPaused = brush || document.getElementById("live")?.checked === false;
  const paused = event.target.id === "log" && isPaused;
  if (paused || document.hidden || document.querySelector("dialog[open], #copy-menu[open]")) event.preventDefault();
});

// Highlight new rows for a moment.
let known = null, arrived = [], isTableOpen = false;
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.target.id !== "log") return;
  known = new Set(steps().map((link) => link.id));
  isTableOpen = document.getElementById("volume-table")?.open;
});
document.addEventListener("htmx:afterSettle", () => {
  if (!known) return;
  const unknown = steps().map((link) => link.id).filter((id) => !known.has(id));
  // A row that has just arrived soon changes its state, which replaces it.
  if (unknown.length) arrived = unknown;
  for (const id of arrived) document.getElementById(id)?.closest("tr")?.classList.add("is-new");
  known = null;
  const table = document.getElementById("volume-table");
  if (table && isTableOpen) table.open = true;
});

// What is opened, collapsed or scrolled on the page of a delivery stays so when it is updated.
let kept = null;
const folds = () => [...document.querySelectorAll("#delivery details:not(.menu)")];
const codes = () => [...document.querySelectorAll("#delivery .code[id]")];
function foldKey(fold) {
  const place = fold.closest("[data-call]") ?? fold.parentElement.closest("[id]");
  const at = [...place.querySelectorAll("details")].indexOf(fold);
  return `${place.dataset.call ?? place.id} ${at}`;
}
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.target.id !== "delivery") return;
  kept = {
    open: new Map(folds().map((fold) => [foldKey(fold), fold.open])),
    top: new Map(codes().map((code) => [code.id, code.scrollTop])),
  };
});
document.addEventListener("htmx:afterSettle", () => {
  if (!kept) return;
  for (const fold of folds()) fold.open = kept.open.get(foldKey(fold)) ?? fold.open;
  for (const code of codes()) code.scrollTop = kept.top.get(code.id) ?? 0;
  kept = null;
});

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.target.id !== "curl-body") return;
  document.getElementById("copy-menu")?.removeAttribute("open");
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
