"use strict";

// A link to something inside of closed details opens them.
function show() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let each = target; each; each = each.parentElement) {
    if (each.tagName === "DETAILS") each.open = true;
  }
  target.scrollIntoView();
}

// Numbers by value, texts by alphabet; what is empty or has not run comes last in either order.
function compare(one, other, sign) {
  if (one === other) return 0;
  if (one === "") return 1;
  if (other === "") return -1;
  const difference = Number(one) - Number(other);
  return sign * (Number.isNaN(difference) ? one.localeCompare(other, "en") : difference);
}

function key(row, column) {
  const cell = row.cells[column];
  return cell.dataset.order === undefined ? cell.textContent.trim() : cell.dataset.order;
}

// First click ascending, second descending, third the order of the file.
function sort(button) {
  const heading = button.closest("th");
  const table = button.closest("table");
  const next = { none: "ascending", ascending: "descending", descending: "none" };
  const order = next[heading.getAttribute("aria-sort")];
  for (const each of table.querySelectorAll("[aria-sort]")) each.setAttribute("aria-sort", "none");
  heading.setAttribute("aria-sort", order);
  const column = Number(button.dataset.column);
  const sign = order === "descending" ? -1 : 1;
  const rows = [...table.tBodies[0].rows];
  rows.sort((a, b) =>
    order === "none"
      ? a.dataset.place - b.dataset.place
      : compare(key(a, column), key(b, column), sign),
  );
  table.tBodies[0].append(...rows);
}

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tBodies[0].rows].forEach((row, place) => { row.dataset.place = place; });
}
for (const button of document.querySelectorAll("button.sort")) {
  button.addEventListener("click", () => sort(button));
}
addEventListener("hashchange", show);
show();
