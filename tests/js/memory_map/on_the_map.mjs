// A map without a page: it notes what it is told to do.

import { Camera } from "../../../app/components/memory_map/camera.js";
import { ALIVE, boundsOf, nearby, placeOf } from "../../../app/components/memory_map/points.js";
import { cloudAt } from "./clouds.mjs";

// points: places on a stage of 400 × 300, in CSS pixels.
export function mapOf(points, settings = {}) {
  const stage = { clientWidth: 400, clientHeight: 300, clientLeft: 1, clientTop: 1 };
  stage.getBoundingClientRect = () => ({ left: 9, top: 19 }); // So (10, 20) is the stage's corner.
  const camera = new Camera(stage);
  const cloud = cloudAt(points.map(([x, y]) => [x, 300 - y]));
  camera.bounds = boundsOf(cloud);
  camera.view = { middle: [200, 150], unit: 1 };
  const shown = new Uint8Array(cloud.n).fill(ALIVE);
  const done = [];
  const note = (name) => (...values) => done.push([name, ...values]);
  const map = { stage, camera, cloud, shown, done, plotted: true, hovered: -1, gone: new Set() };
  return Object.assign(map, {
    tab: { mode: "lasso", takeOut: false, ...settings },
    data: { pickable: true, ...settings },
    now: () => ({ basket: new Set(), off: new Set() }),
    nearby: (place, reach) => nearby(cloud, shown, camera.toData(place), reach * camera.view.unit),
    screenOf: (i) => camera.toScreen(placeOf(cloud, i)),
    hover: (i) => (map.hovered = i),
    setView: (view) => {
      camera.view = view;
      done.push(["view"]);
    },
    moveTo: (view) => (camera.view = view),
    drawLasso: (outline) => (map.lasso = outline),
    ask() {},
    ...Object.fromEntries(["toggle", "pick", "zoom", "say"].map((name) => [name, note(name)])),
  });
}
