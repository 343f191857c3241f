// The map by keyboard.

import { nearby, placeOf } from "./points.js";

const STEP_PX = 9; // Arrow keys pass over points that lie nearer than that: they look like one.
const FIRST_PX = 40; // So far they look for the next one, twice as far if there is none...
const FAR_PX = 2000; // ...and never farther.

const toggle = (map, event) => {
  if (!event.repeat && map.hovered >= 0) map.toggle(map.hovered);
};
const COMMANDS = {
  ArrowLeft: (map) => step(map, [-1, 0]),
  ArrowRight: (map) => step(map, [1, 0]),
  ArrowUp: (map) => step(map, [0, -1]),
  ArrowDown: (map) => step(map, [0, 1]),
  " ": toggle,
  Enter: toggle,
  "+": (map) => map.zoom(0.6),
  "=": (map) => map.zoom(0.6),
  "-": (map) => map.zoom(1 / 0.6),
  0: (map) => map.setView(map.camera.whole()),
};

export function onKey(map, event) {
  const command = COMMANDS[event.key];
  if (!command || !map.plotted || event.ctrlKey || event.metaKey || event.altKey) return;
  command(map, event);
  event.preventDefault();
  event.stopPropagation(); // Streamlit has page-wide shortcuts of its own.
}

// To the next point in a direction; at first to the one nearest the middle.
function step(map, direction) {
  const { camera, cloud, shown, hovered } = map;
  const found =
    hovered < 0
      ? map.nearby(camera.size.map((side) => side / 2), FAR_PX)[0]
      : ahead(camera, cloud, shown, hovered, direction);
  if (found === undefined) return;
  const visible = map.screenOf(found).every((at, k) => at >= 0 && at <= camera.size[k]);
  if (!visible) map.setView(camera.zoomed(1, placeOf(cloud, found)));
  map.hover(found);
  map.ask();
  const id = cloud.ids[found];
  const state = map.gone.has(id) ? ", key deleted" : map.now().basket.has(id) ? ", picked" : "";
  map.say(`${cloud.classes[cloud.labels[found]]}, ${id}${state}`);
}

// The next point in a direction on screen: near, and not far off the straight way.
export function ahead(camera, cloud, shown, i, [dx, dy]) {
  const [x, y] = camera.toScreen(placeOf(cloud, i));
  for (let reach = FIRST_PX; reach <= FAR_PX; reach *= 2) {
    let [best, cost] = [undefined, Infinity];
    for (const k of nearby(cloud, shown, placeOf(cloud, i), reach * camera.view.unit)) {
      const [px, py] = camera.toScreen(placeOf(cloud, k));
      const along = (px - x) * dx + (py - y) * dy;
      const aside = Math.abs((px - x) * dy) + Math.abs((py - y) * dx);
      if (along < STEP_PX || aside > along) continue;
      if (along + 2 * aside < cost) [best, cost] = [k, along + 2 * aside];
    }
    if (best !== undefined) return best;
  }
  return undefined;
}
