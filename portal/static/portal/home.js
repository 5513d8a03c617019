// Shows a notice on Home while polling fails.
"use strict";

const stale = document.getElementById("stale");
for (const failed of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
  document.addEventListener(failed, () => { if (stale) stale.hidden = false; });
}
document.addEventListener("htmx:afterRequest", (event) => {
  if (stale && event.detail.successful) stale.hidden = true;
});

// Copy a command with the secrets that it masks, without showing them.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copies-revealed]");
  if (!button) return;
  const form = document.getElementById("reveal");
  const label = button.textContent;
  try {
    const response = await fetch(form.action, {
      method: "POST", body: new FormData(form), headers: { "HX-Request": "true" },
    });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const text = page.getElementById(button.dataset.copiesRevealed).textContent;
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not copied";
  }
  setTimeout(() => { button.textContent = label; }, 1500);
});
