// The points as Plotly draws them, on the graphics card where there is one.

import { element } from "../dom.js";

export function hasWebGL() {
  const context = document.createElement("canvas").getContext("webgl");
  context?.getExtension("WEBGL_lose_context")?.loseContext(); // Browsers allow a few only.
  return context !== null;
}

// The page's colours as they are now, for the basket and for ghosts, and whether it is dark.
export function coloursOf(root) {
  const probe = element("span", "mkmap-probe");
  root.append(probe);
  const colour = (value) => {
    probe.style.color = value;
    return getComputedStyle(probe).color;
  };
  const [forget, muted] = [colour("var(--mk-forget)"), colour("var(--mk-muted)")];
  const dark = colour("light-dark(rgb(0, 0, 0), rgb(255, 255, 255))") === "rgb(255, 255, 255)";
  probe.remove();
  return { forget, muted, dark };
}

// One trace for each group, then the ghosts, then rings around what is in the basket. members:
// points of each group; ghosts, picked: points.
export function traces(cloud, groups, { members, ghosts, picked }, { forget, muted, dark }, type) {
  const along = (axis, points) => Float32Array.from(points, (i) => cloud.xy[2 * i + axis]);
  const trace = (points, marker) => {
    const [x, y] = [along(0, points), along(1, points)];
    return { type, mode: "markers", x, y, marker, hoverinfo: "skip" };
  };
  const circles = (points, color, size, width, opacity) =>
    trace(points, { symbol: "circle-open", size, color, opacity, line: { width, color } });
  const size = cloud.n > 40000 ? 3 : cloud.n > 4000 ? 4.5 : 7;
  const opacity = cloud.n > 40000 ? 0.6 : 0.75;
  const colours = groups.map((group) => (dark ? group.dark : group.light));
  const many = picked.length > 200; // Wide rings around many points would leave no point to see.
  return [
    ...colours.map((color, g) => trace(members[g], { size, opacity, color, line: { width: 0 } })),
    circles(ghosts, muted, size, 0.8, 0.4), // what is gone stands back behind what is there
    circles(picked, forget, size + (many ? 2.5 : 5), many ? 1.3 : 2, 1),
  ];
}

export function layout([width, height], { x, y }) {
  const axis = { visible: false, autorange: false };
  return {
    ...{ width, height, margin: { l: 0, r: 0, t: 0, b: 0, pad: 0 } },
    ...{ paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)" },
    ...{ hovermode: false, showlegend: false },
    xaxis: { ...axis, range: x },
    yaxis: { ...axis, range: y },
  };
}
