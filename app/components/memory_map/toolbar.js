// The buttons over the map.

import { boxOf } from "./selection.js";

const ACTS = {
  pickShown: (map) => map.pick(boxOf([0, 0], map.camera.size), !map.tab.takeOut),
  showQuery: (map) => map.setView(map.camera.onto(map.data.query)),
  nearer: (map) => map.zoom(0.6),
  farther: (map) => map.zoom(1 / 0.6),
  showWhole: (map) => map.setView(map.camera.whole()),
};

export function onButton(map, event) {
  const { mode, act } = event.target.closest("button")?.dataset ?? {};
  if (mode) map.set({ mode });
  else if (act === "takeOut") map.set({ takeOut: !map.tab.takeOut });
  else if (act && map.plotted) ACTS[act](map);
}

export function paintBar(map) {
  const { mode, takeOut } = map.tab;
  const { pickable, query } = map.data;
  const bar = map.part("bar");
  map.stage.dataset.mode = mode;
  for (const node of bar.querySelectorAll("[data-mode]")) {
    node.setAttribute("aria-pressed", String(node.dataset.mode === mode));
    node.hidden = !pickable && node.dataset.mode !== "pan";
  }
  const [take, shown, star] = ["takeOut", "pickShown", "showQuery"].map((act) =>
    bar.querySelector(`[data-act="${act}"]`),
  );
  take.hidden = !pickable || mode === "pan";
  take.setAttribute("aria-pressed", String(takeOut));
  shown.hidden = !pickable;
  shown.textContent = takeOut ? "Take out shown" : "Pick shown";
  shown.title = `${takeOut ? "Take out" : "Pick"} all points on screen`;
  star.hidden = !query;
}
