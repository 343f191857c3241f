// Long fingerprints, each with a button that copies all of it.

import { toClipboard } from "./clipboard.js";

export default function (component) {
  const { data, parentElement } = component;
  const list = parentElement.querySelector("dl");
  list.replaceChildren();
  for (const row of data.rows) {
    const name = document.createElement("dt");
    name.textContent = row.name;
    const value = document.createElement("dd");
    const short = document.createElement("code");
    short.textContent = row.value.slice(0, data.letters) + "…";
    short.title = row.value;
    const copy = document.createElement("button");
    copy.type = "button";
    copy.textContent = "Copy";
    copy.setAttribute("aria-label", `Copy: ${row.name}`);
    copy.onclick = async () => {
      const done = await toClipboard(row.value, row.name);
      copy.textContent = done ? "Copied" : "Copy";
      setTimeout(() => (copy.textContent = "Copy"), 2500);
    };
    value.append(short, copy);
    list.append(name, value);
  }
}
