// The first page asks for its news every few seconds; this says so when nobody answers.
"use strict";

const stale = document.getElementById("stale");
for (const failed of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
  document.addEventListener(failed, () => { stale.hidden = false; });
}
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful) stale.hidden = true;
});
