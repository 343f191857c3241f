// What is drawn over the points: names of groups, the star and who answers.

import { pictureSize, placeNames, placePictures } from "./placing.js";

function shape(parent, tag, attributes, text = "") {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.textContent = text;
  parent.append(node);
  return node;
}

// off: groups that the legend hides.
export function paintOver(svg, camera, { groups, query, print }, off) {
  const [labels, answer] = svg.querySelectorAll("g");
  const names = groups
    .filter(({ at, count }, g) => at && count && !off.has(g))
    .map(({ label, at }) => ({ label, at: camera.toScreen(at) }));
  labels.replaceChildren();
  for (const { label, x, y } of placeNames(names, camera.size[0], print)) {
    shape(labels, "text", { class: "mkmap-name", x, y }, label);
  }
  answer.replaceChildren();
  if (query) paintAnswer(answer, camera, query, print);
}

function paintAnswer(layer, camera, query, print) {
  const [sx, sy] = camera.toScreen(query.at);
  const points = query.links.map((link) => camera.toScreen(link.at));
  for (const [k, { gone, weight }] of query.links.entries()) {
    const line = { x1: sx, y1: sy, x2: points[k][0], y2: points[k][1] };
    const look = gone ? ["mkmap-lost", 1.5] : ["mkmap-link", 1.5 + 5 * weight];
    shape(layer, "line", { ...line, class: look[0], "stroke-width": look[1] });
  }
  shape(layer, "text", { class: "mkmap-name", x: sx, y: sy + 25 * print }, query.note);
  const { half, tall } = pictureSize(print);
  for (const [k, place] of placePictures([sx, sy], points, camera.size, print).entries()) {
    const { gone, picture, share } = query.links[k];
    const { x, y, lx, ly } = place;
    const also = gone ? " gone" : "";
    shape(layer, "line", { x1: x, y1: y, x2: lx, y2: ly, class: "mkmap-leader" });
    shape(layer, "circle", { cx: x, cy: y, r: 5, class: "mkmap-hit" });
    const [left, top, side] = [lx - half, ly - half, 2 * half];
    const card = { x: left - 2, y: top - 2, width: side + 4, height: tall, rx: 5 };
    shape(layer, "rect", { ...card, class: `mkmap-card${also}` });
    const frame = { x: left, y: top, width: side, height: side };
    shape(layer, "image", { ...frame, href: picture, class: "mkmap-picture" });
    shape(layer, "text", { x: lx, y: ly + half + 13 * print, class: `mkmap-share${also}` }, share);
  }
  const corners = Array.from({ length: 10 }, (_, k) => {
    const [r, a] = [k % 2 ? 5.5 : 13, (Math.PI * k) / 5 - Math.PI / 2];
    return [sx + r * Math.cos(a), sy + r * Math.sin(a)];
  });
  const star = shape(layer, "polygon", { class: "mkmap-star", points: corners.join(" ") });
  shape(star, "title", {}, query.label);
}
