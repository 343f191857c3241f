// Beside the point that is looked at: its picture, and what is known of it.

import { element } from "../dom.js";
import { meaning } from "./words.js";

// Left and top of a box of [w, h], on the side of a point where there is room.
export function beside([x, y], [w, h], [width, height]) {
  const left = x + 18 + w <= width ? x + 18 : Math.max(0, x - 18 - w);
  return [left, Math.max(0, Math.min(height - h, y - h / 2))];
}

export function paintTip(map) {
  const { cloud, data, hovered: i } = map;
  const [tip, ring] = [map.part("tip"), map.part("hover")];
  tip.hidden = !map.shown?.[i];
  ring.toggleAttribute("hidden", tip.hidden);
  if (tip.hidden) return;
  const at = map.screenOf(i);
  ring.setAttribute("transform", `translate(${at.join()})`);
  const id = cloud.ids[i];
  const label = cloud.classes[cloud.labels[i]];
  const [picture, line] = map.tab.known.get(id) ?? ["", ""];
  const image = tip.querySelector("img");
  image.hidden = !picture;
  if (picture) image.src = picture;
  const lines = [
    ["b", label],
    ["span", id],
    ["span", line],
    ["span", meaning(data, map.codes[i], map.values?.[i], label)],
    ["em", map.gone.has(id) ? "key deleted" : map.now().basket.has(id) ? "in the basket" : ""],
  ];
  const words = lines.filter(([, text]) => text).map(([tag, text]) => element(tag, "", text));
  map.part("words").replaceChildren(...words);
  const [left, top] = beside(at, [tip.offsetWidth, tip.offsetHeight], map.camera.size);
  tip.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
}
