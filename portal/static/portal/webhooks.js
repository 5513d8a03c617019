// Forms and statistics of webhooks: rows of headers, checking JSON, and pausing while a dialog is
// open. Without scripts the buttons of the forms do the same.
"use strict";

// Focus the first invalid field.
document.querySelector('main [aria-invalid="true"]')?.focus();

// Headers: add a row without a request.
function addRow(place) {
  const rows = place.querySelectorAll("[data-row]");
  const row = rows[rows.length - 1].cloneNode(true);
  row.querySelector(".error")?.remove();
  row.querySelector("[data-removes-row]")?.remove();
  const number = rows.length + 1;
  const labels = row.querySelectorAll("label");
  row.querySelectorAll("input").forEach((input, n) => {
    input.value = "";
    input.removeAttribute("aria-invalid");
    input.removeAttribute("aria-describedby");
    input.id = `header-${number}-${n ? "value" : "name"}`;
    labels[n].htmlFor = input.id;
    labels[n].textContent = `Header ${number}, ${n ? "value" : "key"}`;
  });
  place.append(row);
  addClearButton(row);
  row.querySelector("input").focus();
}

function addClearButton(row) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button button-plain remove";
  button.dataset.removesRow = "";
  button.textContent = "×";
  button.title = "Clear this header";
  button.setAttribute("aria-label", "Clear this header");
  row.querySelectorAll("input")[1].after(button);
}

for (const headers of document.querySelectorAll("[data-headers]")) {
  const rows = headers.querySelector(".header-rows");
  rows.querySelectorAll("[data-row]").forEach(addClearButton);
  headers.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if ("addsRow" in button.dataset && rows.children.length < 20) {
      event.preventDefault();
      addRow(rows);
    }
    if ("removesRow" in button.dataset) {
      const inputs = button.closest("[data-row]").querySelectorAll("input");
      inputs.forEach((input) => { input.value = ""; });
      inputs[0].focus();
    }
  });
}

// Copy the secret without showing it, with the request of Reveal.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copies-secret]");
  if (!button) return;
  const label = button.textContent;
  try {
    const response = await fetch(button.form.action, {
      method: "POST", body: new FormData(button.form), headers: { "HX-Request": "true" },
    });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    await navigator.clipboard.writeText(page.getElementById("secret-text").textContent);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not copied";
  }
  setTimeout(() => { button.textContent = label; }, 1500);
});

// JSON: checked when typing pauses. It does not block submitting.
function check(text) {
  if (!text.trim()) return ["", true];
  try {
    const value = JSON.parse(text);
    if (value === null || typeof value !== "object" || Array.isArray(value))
      return ["Enter a JSON object: { … }.", false];
    return ["Valid JSON object.", true];
  } catch (error) {
    return [`Invalid JSON: ${error.message}`, false];
  }
}

for (const area of document.querySelectorAll("textarea[data-json]")) {
  const note = document.createElement("p");
  note.className = "json-status quiet small";
  note.setAttribute("role", "status");
  area.after(note);
  const update = () => {
    const [text, isGood] = check(area.value);
    note.textContent = text;
    note.classList.toggle("is-bad", !isGood);
  };
  let waiting;
  area.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(update, 250);
  });
  // An error of the server is shown above.
  if (area.getAttribute("aria-invalid") !== "true") update();
}

// Nothing moves under the viewer of a response, or of the menu of a row.
document.addEventListener("htmx:beforeRequest", (event) => {
  const isPolled = ["live", "health", "webhooks"].includes(event.target.id);
  if (isPolled && document.querySelector("dialog[open], .webhooks .menu[open]")) event.preventDefault();
});
