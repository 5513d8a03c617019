// The pages of webhooks: rows of headers, JSON that is looked at as it is typed, and statistics
// that stand still while a response is read. Without this every form works by its buttons.
"use strict";

// What is wrong is where one begins.
document.querySelector('main [aria-invalid="true"]')?.focus();

// Headers: the button of the form adds a row in place rather than by the server.
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
  canRemove(row);
  row.querySelector("input").focus();
}

function canRemove(row) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button button-plain remove";
  button.dataset.removesRow = "";
  button.textContent = "×";
  button.title = "Empty this header";
  button.setAttribute("aria-label", "Empty this header");
  row.querySelectorAll("input")[1].after(button);
}

for (const headers of document.querySelectorAll("[data-headers]")) {
  const rows = headers.querySelector(".header-rows");
  rows.querySelectorAll("[data-row]").forEach(canRemove);
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

// The secret can be copied without being shown: it is asked for as Reveal does.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copies-secret]");
  if (!button) return;
  const said = button.textContent;
  try {
    const answer = await fetch(button.form.action, {
      method: "POST", body: new FormData(button.form), headers: { "HX-Request": "true" },
    });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    await navigator.clipboard.writeText(page.getElementById("secret-text").textContent);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not copied";
  }
  setTimeout(() => { button.textContent = said; }, 1500);
});

// JSON: said when typing pauses, and never in the way of sending it.
function judged(text) {
  if (!text.trim()) return ["", true];
  try {
    const found = JSON.parse(text);
    if (found === null || typeof found !== "object" || Array.isArray(found))
      return ["This must be an object, { … }.", false];
    return ["This is a JSON object.", true];
  } catch (error) {
    return [`This is not valid JSON yet: ${error.message}`, false];
  }
}

for (const area of document.querySelectorAll("textarea[data-json]")) {
  const said = document.createElement("p");
  said.className = "json-status quiet small";
  said.setAttribute("role", "status");
  area.after(said);
  const judge = () => {
    const [text, isGood] = judged(area.value);
    said.textContent = text;
    said.classList.toggle("is-bad", !isGood);
  };
  let waiting;
  area.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(judge, 250);
  });
  // What the server has said of it stands above.
  if (area.getAttribute("aria-invalid") !== "true") judge();
}

// Statistics: nothing moves under the viewer of a response.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.target.id === "live" && document.querySelector("dialog[open]")) event.preventDefault();
});
