// Keeps parts of pages up to date: `data-live` has the topics of an element, which htmx requests
// again by the event `live`. One stream per visible page says what has changed (`portal.live`), and
// how many seconds an element waits between two requests: none after an action of this page.
// Without a stream, elements are requested every `data-poll` seconds. They have an id. What changes
// without a topic, as heartbeats do, is requested every `data-check` seconds even with a stream.
"use strict";

// A block, so that these names are not those of other scripts.
{
  const RETRY = 15_000; // milliseconds until a stream that was refused is opened again
  const CHECK = 60; // seconds after which an element is requested even with a stream
  const ACTION = 5_000; // milliseconds after an action in which its results are requested at once
  const LEAVE = 2_000; // milliseconds in which a form leads to another page
  const DELAY = 200; // milliseconds after the page, whose own files come first

  let source = null;
  let isOpen = false;
  let retryAt = Infinity;
  const loaded = Date.now();
  // Seconds between two requests of an element, and a factor: pages shall not request together.
  let pause = 2;
  const jitter = 1 + Math.random() / 4;
  // The action may have led to this page.
  let actedAt = Number(sessionStorage.getItem("acted-at"));
  let timer = 0, leavesUntil = 0;
  // The topics of the stream.
  let openTopics = "";
  // Ids of elements that have changed and are not requested yet.
  const changed = new Set();
  // Ids of elements whose last request has failed.
  const failed = new Set();
  // When each element was requested last, by id.
  const requestedAt = new Map();

  const elements = () => [...document.querySelectorAll("[data-live]")];
  const lastRequest = (id) => requestedAt.get(id) ?? loaded;
  const topicsOf = (element) => element.dataset.live.split(/\s+/).filter(Boolean);

  function close() {
    source?.close();
    source = null;
    isOpen = false;
  }

  // Open the stream for what the page shows now. Hidden pages have none, because a browser opens
  // only six connections to a host.
  function open() {
    const topics = [...new Set(elements().flatMap(topicsOf))].sort().join(" ");
    if (document.hidden || !topics) return close();
    if (source && openTopics === topics) return;
    if (Date.now() < retryAt || !window.EventSource) return;
    close();
    openTopics = topics;
    const opened = source = new EventSource(`/live/?${new URLSearchParams({ topics })}`);
    opened.addEventListener("open", () => { isOpen = true; });
    // The first event is about all topics.
    opened.addEventListener("live", (event) => {
      const data = JSON.parse(event.data), names = new Set(data.topics);
      pause = data.pause;
      mark(elements().filter((element) => topicsOf(element).some((topic) => names.has(topic))));
    });
    opened.addEventListener("error", () => {
      if (source !== opened) return;
      isOpen = false;
      // Otherwise the browser opens it again by itself.
      if (opened.readyState !== EventSource.CLOSED) return;
      source = null;
      retryAt = Date.now() + RETRY;
    });
  }

  function mark(marked) {
    for (const element of marked) changed.add(element.id);
    request();
  }

  // An element whose request is in flight is requested again afterwards; one that the page holds
  // back, such as a paused log, as soon as the page allows it.
  function request() {
    clearTimeout(timer);
    const now = Date.now();
    if (document.hidden || now < leavesUntil) return;
    // The pause is for what a stream reports: other parts have an interval of their own.
    const gap = isOpen ? pause * 1000 * jitter : 0;
    let next = Infinity;
    for (const id of [...changed]) {
      const element = document.getElementById(id);
      const waits = now - actedAt < ACTION ? 0 : lastRequest(id) + gap;
      if (element?.dataset.live === undefined) changed.delete(id);
      else if (element.classList.contains("htmx-request")) continue;
      else if (waits > now) next = Math.min(next, waits);
      else element.dispatchEvent(new CustomEvent("live"));
    }
    if (next < Infinity) timer = setTimeout(request, next - now);
  }

  function act() {
    actedAt = Date.now();
    sessionStorage.setItem("acted-at", actedAt);
  }

  document.addEventListener("htmx:beforeSend", (event) => {
    changed.delete(event.target.id);
    requestedAt.set(event.target.id, Date.now());
    if (event.detail.requestConfig.verb !== "get") act();
  });
  document.addEventListener("htmx:afterSettle", open);
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (detail.successful) failed.delete(detail.elt.id);
    else failed.add(detail.elt.id);
    // After htmx has removed its class.
    setTimeout(request);
  });
  for (const event of ["close", "change"]) document.addEventListener(event, request, true);
  document.addEventListener("visibilitychange", open);
  // Nothing is requested while the page is left by a form, which may sign the viewer out.
  addEventListener("submit", (event) => {
    if (!event.defaultPrevented) {
      retryAt = Date.now() + RETRY;
      leavesUntil = Date.now() + LEAVE;
    }
    if (event.target.method === "post") act();
  });
  // A page in the back/forward cache has no stream.
  addEventListener("pagehide", close);
  addEventListener("pageshow", () => {
    retryAt = Date.now() + DELAY;
    setTimeout(open, DELAY);
  });

  setInterval(() => {
    open();
    for (const element of elements()) {
      const { poll, check = CHECK } = element.dataset;
      const seconds = Number(isOpen && !failed.has(element.id) ? check : poll) * 1000;
      if (Date.now() - lastRequest(element.id) >= seconds) changed.add(element.id);
    }
    request();
  }, 1000);
}
