/* SPDX-License-Identifier: Apache-2.0 */
"use strict";

// A click on a heading sorts a table by that column, a second one the other way round. What has no figure stays below.
function sortTable(table, heading) {
  const column = heading.cellIndex;
  const down = heading.getAttribute("aria-sort") === "ascending";
  const body = table.tBodies[0];
  const rows = Array.from(body.rows, (row) => {
    const cell = row.cells[column];
    const value = cell.dataset.value;
    const isFigure = value !== undefined;
    return { row, empty: value === "", key: isFigure ? Number(value) : cell.textContent, isFigure };
  });
  rows.sort((a, b) => {
    if (a.empty || b.empty) return Number(a.empty) - Number(b.empty);
    const order = a.isFigure ? a.key - b.key : a.key.localeCompare(b.key);
    return down ? -order : order;
  });
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  body.append(...rows.map((entry) => entry.row));
}

for (const table of document.querySelectorAll("table.sortable")) {
  for (const heading of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sortTable(table, heading));
    heading.append(button);
  }
}

// Says of a table that is wider than the page that there is more of it.
function markWideTables() {
  for (const box of document.querySelectorAll(".scroll")) {
    const wide = box.scrollWidth > box.clientWidth + 1;
    box.querySelector("caption div").classList.toggle("more", wide);
  }
}
markWideTables();
window.addEventListener("resize", markWideTables);

// What a browser shows only after a while, and a phone never: the titles inside pictures, at once and by touch.
const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
document.body.append(tip);

for (const title of document.querySelectorAll("svg.picture g title, svg.picture circle title")) {
  title.parentNode.dataset.tip = title.textContent;
  title.remove();
}

function showTip(event) {
  const marked = event.target.closest("[data-tip]");
  tip.hidden = marked === null;
  if (tip.hidden) return;
  tip.textContent = marked.dataset.tip;
  const left = Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8);
  const below = event.clientY + 16;
  const fits = window.innerHeight - tip.offsetHeight - 8 >= below;
  tip.style.left = Math.max(left, 8) + "px";
  tip.style.top = (fits ? below : Math.max(event.clientY - tip.offsetHeight - 12, 8)) + "px";
}

document.addEventListener("pointermove", showTip);
document.addEventListener("pointerdown", showTip);
document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
