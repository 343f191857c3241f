// What a person picks: by clicks, lasso or box, and what Python does not know of it yet.

import { ALIVE, within } from "./points.js";

const DENSE_PX = 1.5; // Corners of a lasso that lie nearer than that say nothing new.

// Even-odd rule. polygon: x and y of its corners in turn.
export function inside(polygon, x, y) {
  let odd = false;
  const n = polygon.length;
  for (let i = 0, j = n - 2; i < n; j = i, i += 2) {
    const [yi, yj] = [polygon[i + 1], polygon[j + 1]];
    if (yi > y !== yj > y) {
      const crossing = polygon[i] + ((y - yi) / (yj - yi)) * (polygon[j] - polygon[i]);
      if (x < crossing) odd = !odd;
    }
  }
  return odd;
}

// Ids of the points that are drawn, no ghosts, within an outline of corners [x, y].
export function enclosed(cloud, shown, outline) {
  const polygon = outline.flat();
  const [x, y] = [0, 1].map((axis) => {
    const along = outline.map((corner) => corner[axis]);
    return [Math.min(...along), Math.max(...along)];
  });
  const found = [];
  within(cloud, { x, y }, (i, px, py) => {
    if (shown[i] === ALIVE && inside(polygon, px, py)) found.push(cloud.ids[i]);
  });
  return found;
}

export function boxOf([x0, y0], [x1, y1]) {
  return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
}

// The outline that a pointer has drawn on its path.
export function outlineOf(path, mode) {
  if (mode === "box") return boxOf(path[0], path.at(-1));
  const outline = [path[0]];
  for (const [x, y] of path) {
    const [lastX, lastY] = outline.at(-1);
    if (Math.hypot(x - lastX, y - lastY) >= DENSE_PX) outline.push([x, y]);
  }
  return outline;
}

// The basket and the hidden groups as Python knows them, with what it has not acknowledged on top.
export function standing(data, pending) {
  const basket = new Set(data.basket);
  let off = new Set(data.off);
  for (const [, kind, values] of pending) {
    if (kind === "off") off = new Set(values);
    else for (const id of values) kind.endsWith("add") ? basket.add(id) : basket.delete(id);
  }
  return { basket, off };
}
