// Boards and lists of a queue: the hint that a board scrolls, the selection of several objects, and
// both kept when the page is updated. Without scripts the board scrolls and the form works all the same.
"use strict";

// A block, so that these names are not those of other scripts.
{
  const board = () => document.getElementById("board");
  const picks = () => [...document.querySelectorAll(".pick")];

  // A shadow on each side on which there are further columns.
  function showHint() {
    const element = board();
    if (!element) return;
    const left = element.scrollLeft > 4;
    const right = element.scrollLeft + element.clientWidth < element.scrollWidth - 4;
    element.parentElement.dataset.more = `${left ? "left " : ""}${right ? "right" : ""}`;
  }

  function showCount() {
    const all = document.getElementById("pick-all");
    if (!all) return;
    const boxes = picks();
    const count = boxes.filter((box) => box.checked).length;
    all.checked = count > 0 && count === boxes.length;
    all.indeterminate = count > 0 && count < boxes.length;
    const text = document.getElementById("picked");
    text.textContent = count ? `${count} selected` : text.dataset.none;
    for (const button of document.querySelectorAll('#bulk [name="selected"]')) button.disabled = !count;
  }

  function show() {
    showHint();
    showCount();
    board()?.addEventListener("scroll", showHint, { passive: true });
  }

  document.addEventListener("change", (event) => {
    if (event.target.id === "pick-all") for (const box of picks()) box.checked = event.target.checked;
    if (event.target.matches?.(".pick, #pick-all")) showCount();
  });
  addEventListener("resize", showHint);

  let kept = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    // After an error nothing is replaced.
    if (event.detail.target.id !== "content" || !event.detail.shouldSwap) return;
    const element = board();
    kept = {
      picked: picks().filter((box) => box.checked).map((box) => box.id),
      left: element?.scrollLeft ?? 0,
      top: element?.scrollTop ?? 0,
    };
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (kept) {
      for (const id of kept.picked) {
        const box = document.getElementById(id);
        if (box) box.checked = true;
      }
      board()?.scrollTo(kept.left, kept.top);
      kept = null;
    }
    show();
    // The results of an action are shown: show the objects as they are now.
    if (event.detail.target.closest?.("#bulk-result")) {
      const content = document.getElementById("content");
      htmx.ajax("GET", content.getAttribute("hx-get"), { target: content, swap: "outerHTML" });
    }
  });
  show();
}
