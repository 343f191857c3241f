import { element } from "../dom.js";
import { toClipboard } from "./clipboard.js";

export default function ({ data, parentElement }) {
  const list = parentElement.querySelector("dl");
  list.replaceChildren();
  for (const { name, value } of data.rows) {
    const short = element("code", "", `${value.slice(0, data.letters)}…`, { title: value });
    const copy = element("button", "", "Copy", { type: "button", "aria-label": `Copy: ${name}` });
    copy.onclick = async () => {
      copy.textContent = (await toClipboard(value, name)) ? "Copied" : "Copy";
      setTimeout(() => (copy.textContent = "Copy"), 2500);
    };
    const digest = element("dd");
    digest.append(short, copy);
    list.append(element("dt", "", name), digest);
  }
}
