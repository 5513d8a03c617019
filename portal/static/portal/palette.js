// The command palette: a combobox whose list has the page's own actions, the pages opened last, and
// what the server finds. Without scripts its button is a link to the page of the same results.
"use strict";

const palette = document.getElementById("palette");
const MOST_RECENT = 6;
// Pages of forms that end, and of the palette itself, are not worth returning to.
const PASSING = /\/(new|delete|reset|search)\/|\/(edit|change|curl)\/$/;

function openPalette() {
  if (!palette || palette.open) return;
  document.querySelector("dialog[open]")?.close();
  palette.showModal();
  const text = document.getElementById("palette-text");
  text.value = "";
  refresh();
}

const recentKey = () => `recent ${palette.dataset.account}`;
const recent = () => JSON.parse(localStorage.getItem(recentKey()) ?? "[]");

function remember() {
  const [visit] = performance.getEntriesByType("navigation");
  if (PASSING.test(location.pathname) || visit?.responseStatus >= 400) return;
  const query = new URLSearchParams(location.search);
  query.delete("seen");
  const name = document.title.replace(/ · Connect Sim$/, "");
  const page = { path: location.pathname + (query.size ? `?${query}` : ""), name };
  const others = recent().filter((each) => each.name !== name);
  localStorage.setItem(recentKey(), JSON.stringify([page, ...others].slice(0, MOST_RECENT + 1)));
}

function option(tag, name, detail) {
  const element = document.createElement(tag);
  element.className = "palette-option";
  element.setAttribute("role", "option");
  element.tabIndex = -1;
  const label = document.createElement("span"), more = document.createElement("span");
  label.textContent = name;
  more.className = "palette-detail quiet";
  more.textContent = detail;
  element.append(label, " ", more);
  return element;
}

function group(title, options) {
  if (!options.length) return [];
  const element = document.createElement("div"), heading = document.createElement("p");
  element.className = "palette-group";
  element.setAttribute("role", "group");
  element.setAttribute("aria-label", title);
  heading.className = "palette-title quiet small";
  heading.setAttribute("aria-hidden", "true");
  heading.textContent = title;
  element.append(heading, ...options);
  return [element];
}

// The buttons of the page: those of its head, and those marked with `data-action`. What a text finds
// among those of all pages is in the server's list.
const ACTIONS = ["main .head :is(.button, .menu-item)", "main [data-action]"];
const EVERYWHERE = "[data-action]";
const nameOf = (element) => (element.ariaLabel ?? element.textContent).replace(/\s+/g, " ").trim();

function pageActions(text) {
  const found = new Map(), places = text ? ACTIONS : [...ACTIONS, EVERYWHERE];
  for (const element of places.flatMap((each) => [...document.querySelectorAll(each)])) {
    const name = nameOf(element);
    if (!element.matches("a, button") || element.disabled || !name || found.has(name)) continue;
    if (!element.closest("[hidden], dialog, [role=search]")) found.set(name, element);
  }
  return [...found].map(([name, element]) => {
    const button = option("button", name, element.title);
    button.type = "button";
    button.addEventListener("click", () => { palette.close(); element.click(); });
    return button;
  });
}

function recentPages() {
  return recent().filter((page) => page.path !== here()).slice(0, MOST_RECENT).map((page) => {
    const link = option("a", page.name, decodeURIComponent(page.path.replaceAll("+", " ")));
    link.href = page.path;
    return link;
  });
}

const options = () => [...document.querySelectorAll("#palette-list [role=option]")];
const active = () => options().find((each) => each.ariaSelected === "true");

function select(element) {
  for (const each of options()) each.ariaSelected = String(each === element);
  const text = document.getElementById("palette-text");
  if (element) text.setAttribute("aria-activedescendant", element.id);
  else text.removeAttribute("aria-activedescendant");
  element?.scrollIntoView({ block: "nearest" });
}

// Number the options, and select the first.
function show() {
  options().forEach((each, n) => { each.id = `palette-option-${n}`; });
  select(options()[0]);
  const count = options().length;
  document.getElementById("palette-status").textContent = count === 1 ? "1 result" : `${count} results`;
}

let loading = null, isAwaited = false;

async function refresh() {
  const text = document.getElementById("palette-text").value.trim();
  const words = text.toLowerCase().split(/\s+/);
  const matching = (list) => list.filter((each) => words.every((word) => each.textContent.toLowerCase().includes(word)));
  const mine = [...group("Recent", matching(recentPages())), ...group("On this page", matching(pageActions(text)))];
  loading?.abort();
  const request = loading = new AbortController();
  try {
    const url = `${palette.dataset.source}?q=${encodeURIComponent(text)}`;
    const response = await fetch(url, { headers: { "HX-Request": "true" }, signal: request.signal });
    // Signed out meanwhile, or an error: the page of the results says so.
    if (!response.ok) return location.assign(url);
    document.getElementById("palette-found").innerHTML = await response.text();
  } catch (error) {
    if (request.signal.aborted) return;
    document.getElementById("palette-found").replaceChildren();
  }
  if (loading !== request) return;
  loading = null;
  const place = document.getElementById("palette-page");
  place.replaceChildren(...mine);
  // An object that the text names comes before what the text happens to occur in.
  const objects = document.querySelector('#palette-found [aria-label="Objects"]');
  if (objects && /[0-9]/.test(text)) place.prepend(objects);
  show();
  if (isAwaited) active()?.click();
  isAwaited = false;
}

function move(by) {
  const all = options();
  select(all[(all.indexOf(active()) + by + all.length) % all.length]);
}

globalThis.openPalette = openPalette;
if (palette) {
  let waiting;
  remember();
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    event.preventDefault();
    if (palette.open) palette.close();
    else openPalette();
  });
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("[data-palette]")) return;
    event.preventDefault();
    openPalette();
  });
  palette.addEventListener("click", (event) => { if (event.target === palette) palette.close(); });
  // A command of the server that is a button of this page, such as a move of the clock, is that
  // button, which may need no other page.
  palette.addEventListener("click", (event) => {
    const value = event.target.closest("#palette-found button")?.value;
    const own = value && document.querySelector(`button[data-action="${CSS.escape(value)}"]`);
    if (!own) return;
    event.preventDefault();
    palette.close();
    own.click();
  });
  palette.addEventListener("input", () => {
    clearTimeout(waiting);
    loading ??= new AbortController();
    waiting = setTimeout(refresh, 60);
  });
  palette.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") move(event.key === "ArrowDown" ? 1 : -1);
    // While results of the latest text are loading, the first of them is opened.
    else if (event.key === "Enter" && loading) isAwaited = true;
    else if (event.key === "Enter") active()?.click();
    else return;
    event.preventDefault();
  });
  palette.addEventListener("pointermove", (event) => {
    const over = event.target.closest("[role=option]");
    if (over && over !== active()) select(over);
  });
  if (/Mac|iP/.test(navigator.platform)) for (const key of document.querySelectorAll(".search-button kbd")) key.textContent = "⌘ K";
}
