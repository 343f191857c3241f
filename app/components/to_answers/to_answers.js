// The page is one column there: see page.css.
const NARROW = "(max-width: 640px)";

const seen = new WeakMap(); // parent element → generation drawn last

export default function ({ data, parentElement }) {
  const bring = () => document.querySelector(data.target)?.closest(".stColumn")?.scrollIntoView();
  parentElement.querySelector("button").onclick = bring;
  const before = seen.get(parentElement);
  seen.set(parentElement, data.generation);
  const changed = before !== undefined && before !== data.generation;
  if (changed && window.matchMedia(NARROW).matches) bring();
}
