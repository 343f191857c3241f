// The map by mouse, pen or finger.

import { outlineOf } from "./selection.js";

const REACH_PX = 12; // Between pointer and point: so near still counts as "on it".
const CLICK_PX = 4; // A shorter drag is a click.

function placeOn(stage, event) {
  const { left, top } = stage.getBoundingClientRect();
  const { clientLeft, clientTop } = stage; // The border is no part of the map.
  return [event.clientX - left - clientLeft, event.clientY - top - clientTop];
}

export function onMove(map, event) {
  if (!map.plotted || map.dragging || event.pointerType === "touch") return;
  map.hover(map.nearby(placeOn(map.stage, event), REACH_PX)[0] ?? -1);
}

export function onWheel(map, event) {
  if (!map.plotted) return;
  event.preventDefault();
  const step = event.deltaMode === 0 ? event.deltaY : 30 * event.deltaY; // Pixels or lines.
  map.moveTo(map.camera.wheeled(placeOn(map.stage, event), step));
}

// From here to the release; the events are the window's, as a drag may leave the stage.
export function onPress(map, press) {
  if (press.button !== 0 || !map.plotted || !press.isPrimary) return;
  press.preventDefault(); // No text of the page gets selected.
  const { stage, camera, tab } = map;
  const { mode } = tab;
  const { view } = camera;
  const drawing = mode !== "pan" && map.data.pickable;
  const path = [placeOn(stage, press)];
  const listening = new AbortController();
  let far = false;
  map.dragging = true;
  const move = (event) => {
    const [[x0, y0], [x, y]] = [path[0], placeOn(stage, event)];
    far ||= Math.hypot(x - x0, y - y0) >= CLICK_PX;
    if (!far) return;
    path.push([x, y]);
    map.hover(-1);
    if (drawing) map.drawLasso(outlineOf(path, mode));
    else map.moveTo(camera.dragged(view, path[0], [x, y]));
  };
  const end = () => {
    listening.abort();
    map.drawLasso([]);
    map.dragging = false;
  };
  const up = (event) => {
    move(event);
    end();
    const [clicked] = far ? [] : map.nearby(path[0], REACH_PX);
    if (clicked !== undefined) map.toggle(clicked);
    if (!far) return;
    if (!drawing) map.setView(camera.view);
    else map.pick(outlineOf(path, mode), !(event.shiftKey || press.shiftKey || tab.takeOut));
  };
  const listen = (name, act, capture = false) =>
    window.addEventListener(name, act, { capture, signal: listening.signal });
  listen("pointermove", move);
  listen("pointerup", up);
  listen("pointercancel", end);
  listen("keydown", (event) => event.key === "Escape" && end(), true);
}
