// The groups of the map, each shown or hidden by a click.

import { element } from "../dom.js";
import { count } from "./words.js";

export function toggled(off, group) {
  const changed = new Set(off);
  if (!changed.delete(group)) changed.add(group);
  return changed;
}

export const allBut = (groups, group) => new Set([...groups.keys()].filter((g) => g !== group));

export function paintLegend(map) {
  const { title, groups } = map.data;
  const [legend, { off }] = [map.part("legend"), map.now()];
  const active = document.activeElement;
  const focused = legend.contains(active) ? active.dataset.focus : null;
  const button = (name, text, next, focus, attributes) => {
    const all = { type: "button", "data-focus": focus, ...attributes };
    const node = element("button", `mkmap-${name}`, text, all);
    node.onclick = () => map.setOff(next());
    return node;
  };
  const label = `${title}: show or hide`;
  const list = element("div", "mkmap-groups", "", { role: "group", "aria-label": label });
  for (const [g, group] of groups.entries()) {
    const toggle = button("toggle", "", () => toggled(off, g), g, {
      title: `${off.has(g) ? "Show" : "Hide"} ${group.label}`,
      "aria-pressed": !off.has(g),
    });
    const swatch = element("span", "mkmap-swatch");
    swatch.style.background = map.colours.dark ? group.dark : group.light;
    toggle.append(swatch, element("span", "mkmap-label", group.label));
    toggle.append(element("span", "mkmap-count", count(group.count)));
    const alone = `Show only ${group.label}`;
    const attributes = { title: alone, "aria-label": alone };
    const only = button("only", "only", () => allBut(groups, g), `only-${g}`, attributes);
    const line = element("div", "mkmap-group");
    line.append(toggle, only);
    list.append(line);
  }
  const all = button("all", "Show all", () => new Set(), "all");
  all.disabled = !off.size;
  legend.replaceChildren(element("div", "mkmap-title", title), list, all);
  // Whoever goes by keyboard stays on the button, which is drawn anew.
  if (focused) legend.querySelector(`[data-focus="${focused}"]`)?.focus();
}
