// A table drawn from data; a click on a header asks Python for another order.

import { element } from "../dom.js";

function headerCell(header, data, ask) {
  const cell = element("th", "", "", { scope: "col" });
  const sorted = header.key === data.sort;
  if (sorted) cell.setAttribute("aria-sort", data.descending ? "descending" : "ascending");
  const attributes = { type: "button", "data-key": header.key };
  const button = element("button", sorted ? "sorted" : "", "", attributes);
  if (header.help) {
    button.dataset.help = header.help; // term_tips.js shows it, to the keyboard too.
    button.setAttribute("aria-description", header.help);
  }
  button.append(element("span", "label", header.label));
  button.append(element("span", "arrow", sorted ? (data.descending ? "▼" : "▲") : ""));
  if (header.unit) button.append(element("span", "unit", header.unit));
  button.onclick = () => ask(header.key);
  cell.append(button);
  return cell;
}

function fill(node, cell) {
  node.append(element("span", "text", cell.text));
  for (const line of cell.small) node.append(element("small", "", line));
  if (cell.tag) node.append(element("em", `tag ${cell.tone}`, cell.tag));
}

function bodyRow(row) {
  const line = element("tr", row.strong ? "strong" : "");
  line.dataset.kind = row.kind;
  row.cells.forEach((cell, i) => {
    const node = element(i ? "td" : "th");
    if (!i) {
      node.scope = "row";
      node.append(element("span", "mark", row.mark, { "aria-hidden": "true" }));
    }
    fill(node, cell);
    line.append(node);
  });
  return line;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const table = parentElement.querySelector("table");
  // The header that was clicked is drawn anew: whoever uses the keyboard stays on it.
  const active = (parentElement.activeElement || document.activeElement)?.dataset?.key;
  table.querySelector("caption").textContent = data.caption;
  const head = element("tr");
  head.append(...data.headers.map((h) => headerCell(h, data, (key) => setTriggerValue("sort", key))));
  table.querySelector("thead").replaceChildren(head);
  table.querySelector("tbody").replaceChildren(...data.rows.map(bodyRow));
  if (active) table.querySelector(`button[data-key="${CSS.escape(active)}"]`)?.focus();
}
