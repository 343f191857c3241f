// The memory map in the browser: Plotly draws the points, everything a person does is handled
// here. Three components share this script and meet in `hub`: the points (bytes that never
// change), the map itself, and the pictures that Python sends when they are asked for.
//
// What a person does goes through an ActionLog (action_log.js), as [kind, values].

const hub = (window.munkeyMaps ??= {
  points: new Map(), // name -> cloud; a few, so that turning between maps is quick
  pictures: new Map(), // scope -> { known: Map, wanted: Set, ask }
  modes: new Map(), // scope -> what dragging does, and the view per cloud
});
const mounts = new WeakMap();
const ARRIVED = "munkey:map-part";
const KEPT_CLOUDS = 4;

const REDRAW_AFTER_MS = 180;
const ASK_AFTER_MS = 70; // A pointer that rushes across the map asks for nothing.
const ASK_AGAIN_MS = 2500;
const NEAREST = 60; // Neighbours on screen whose pictures come along.
const REACH = 12; // CSS pixels between pointer and point that still count as "on it".
const CLICK_PX = 4; // A shorter drag is a click.
const STEP_PX = 9; // The arrow keys pass over points that lie nearer than that: they look like one.
const FAR_PX = 2000;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const KEYS =
  "Arrow keys go from point to point, Space picks or takes out, plus and minus zoom, 0 shows the " +
  "whole map; “Pick shown” picks all points on screen.";
const ALIVE = 1;
const GHOST = 2;
const SVG = "http://www.w3.org/2000/svg";

// ---- Parts: points and pictures -------------------------------------------------------------

function unpack(bytes) {
  const end = bytes.indexOf(10);
  const head = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
  const at = end + 1;
  const n = head.n;
  const buffer = bytes.slice(at).buffer; // A copy, which starts at a multiple of four.
  const xy = new Float32Array(buffer, 0, 2 * n);
  const labels = new Uint16Array(buffer, 8 * n, n);
  const text = new TextDecoder().decode(new Uint8Array(buffer, 10 * n));
  const ids = n ? text.split("\n") : [];
  return { ...head, xy, labels, ids, index: null, grid: makeGrid(xy) };
}

function indexOf(cloud, id) {
  cloud.index ??= new Map(cloud.ids.map((name, i) => [name, i]));
  return cloud.index.get(id);
}

// Points sorted into square cells, so that finding the nearest looks at a few cells only.
function makeGrid(xy) {
  const n = xy.length / 2;
  let [x0, y0, x1, y1] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i < n; i++) {
    x0 = Math.min(x0, xy[2 * i]);
    x1 = Math.max(x1, xy[2 * i]);
    y0 = Math.min(y0, xy[2 * i + 1]);
    y1 = Math.max(y1, xy[2 * i + 1]);
  }
  if (!n) [x0, y0, x1, y1] = [0, 0, 1, 1];
  const side = Math.max(4, Math.min(256, Math.ceil(Math.sqrt(n / 2))));
  const cell = Math.max(x1 - x0, y1 - y0, 1e-6) / side;
  const size = side + 1;
  const cellOf = (i) =>
    Math.floor((xy[2 * i + 1] - y0) / cell) * size + Math.floor((xy[2 * i] - x0) / cell);
  const starts = new Uint32Array(size * size + 1);
  for (let i = 0; i < n; i++) starts[cellOf(i) + 1]++;
  for (let c = 0; c < size * size; c++) starts[c + 1] += starts[c];
  const fill = starts.slice();
  const order = new Uint32Array(n);
  for (let i = 0; i < n; i++) order[fill[cellOf(i)]++] = i;
  return { x0, y0, x1, y1, cell, size, starts, order };
}

// Calls visit(i) for every point of the cells that touch a rectangle.
function within(grid, left, right, bottom, top, visit) {
  const clamp = (value) => Math.max(0, Math.min(grid.size - 1, Math.floor(value)));
  const [c0, c1] = [clamp((left - grid.x0) / grid.cell), clamp((right - grid.x0) / grid.cell)];
  const [r0, r1] = [clamp((bottom - grid.y0) / grid.cell), clamp((top - grid.y0) / grid.cell)];
  for (let row = r0; row <= r1; row++) {
    const from = grid.starts[row * grid.size + c0];
    const to = grid.starts[row * grid.size + c1 + 1];
    for (let k = from; k < to; k++) visit(grid.order[k]);
  }
}

function receivePoints(data) {
  const bytes = data instanceof Uint8Array ? data : new Uint8Array(data);
  const end = bytes.indexOf(10);
  const { name } = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
  if (hub.points.has(name)) return;
  hub.points.set(name, unpack(bytes));
  if (hub.points.size > KEPT_CLOUDS) hub.points.delete(hub.points.keys().next().value);
  window.dispatchEvent(new Event(ARRIVED));
}

function album(scope) {
  if (!hub.pictures.has(scope)) {
    hub.pictures.set(scope, { known: new Map(), wanted: new Map(), ask: null });
  }
  return hub.pictures.get(scope);
}

function receivePictures(data, send) {
  const found = album(data.scope);
  found.ask = (ids) => send("wanted", ids);
  for (const [id, picture] of Object.entries(data.pictures)) {
    found.known.set(id, picture);
    found.wanted.delete(id);
  }
  window.dispatchEvent(new Event(ARRIVED));
}

// ---- Small helpers --------------------------------------------------------------------------

function decode(text, Kind) {
  const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  return new Kind(bytes.buffer);
}

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function shape(tag, attributes, parent) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  parent.append(node);
  return node;
}

function button(className, text, label) {
  const node = element("button", className, text);
  node.type = "button";
  if (label) {
    node.setAttribute("aria-label", label);
    node.title = label;
  }
  return node;
}

const grouped = new Intl.NumberFormat("en-GB");
const count = (n) => grouped.format(n);

function hasWebGL() {
  const context = document.createElement("canvas").getContext("webgl");
  context?.getExtension("WEBGL_lose_context")?.loseContext(); // Browsers allow a few only.
  return context !== null;
}

let webGL = null;

// Even-odd rule; polygon as a flat list of x, y in data units.
function inside(polygon, x, y) {
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

// ---- The map --------------------------------------------------------------------------------

const MODES = {
  lasso: ["Lasso", "Draw around points to pick them"],
  box: ["Box", "Draw a box around points to pick them"],
  pan: ["Move", "Drag to move the map"],
};

class MemoryMap {
  constructor(root) {
    this.root = root;
    this.data = null;
    this.cloud = null;
    this.shown = null; // per point: 0 hidden, ALIVE or GHOST
    this.view = null; // { x: [low, high], y: [low, high] } in data units, equal scales
    this.log = null;
    this.askTimer = null;
    this.hovered = -1;
    this.drawn = "";
    this.build();
    this.onArrival = () => this.refresh();
    window.addEventListener(ARRIVED, this.onArrival);
    window.addEventListener("munkey:plotly", this.onArrival);
    this.resize = new ResizeObserver(() => this.resized());
    this.resize.observe(this.stage);
  }

  destroy() {
    window.removeEventListener(ARRIVED, this.onArrival);
    window.removeEventListener("munkey:plotly", this.onArrival);
    this.resize.disconnect();
    clearTimeout(this.askTimer);
    clearTimeout(this.viewTimer);
    if (this.plotted) window.Plotly.purge(this.plot);
    mounts.delete(this.root);
  }

  build() {
    const bar = element("div", "mkmap-bar");
    bar.setAttribute("role", "toolbar");
    bar.setAttribute("aria-label", "Map tools");
    this.modeButtons = {};
    const modes = element("div", "mkmap-set");
    for (const [name, [text, title]] of Object.entries(MODES)) {
      const node = button("", text);
      node.title = title;
      node.dataset.mode = name;
      node.onclick = () => this.setMode(name);
      this.modeButtons[name] = node;
      modes.append(node);
    }
    this.takeOut = button("mkmap-take", "Take out");
    this.takeOut.title = "Lasso and box take points out of the basket (or hold Shift)";
    this.takeOut.onclick = () => {
      this.settings.takeOut = !this.settings.takeOut;
      this.paintBar();
    };
    this.pickShown = button("mkmap-take", "Pick shown");
    this.pickShown.onclick = () => this.pick(this.onScreen(), !this.settings.takeOut);
    this.notice = element("div", "mkmap-notice");
    this.notice.setAttribute("role", "status");
    const zooms = element("div", "mkmap-set");
    this.toQuery = button("", "★", "Zoom to the star");
    this.toQuery.onclick = () => this.zoomToQuery();
    const nearer = button("", "+", "Zoom in");
    nearer.onclick = () => this.zoom(0.6);
    const farther = button("", "−", "Zoom out");
    farther.onclick = () => this.zoom(1 / 0.6);
    const all = button("", "Fit", "Show the whole map");
    all.onclick = () => this.setView(this.wholeView());
    zooms.append(this.toQuery, nearer, farther, all);
    bar.append(modes, this.takeOut, this.pickShown, this.notice, zooms);

    this.stage = element("div", "mkmap-stage");
    this.stage.tabIndex = 0;
    this.stage.setAttribute("role", "application");
    this.stage.setAttribute("aria-label", `Points of the map. ${KEYS}`);
    this.keys = element("div", "mkmap-keys", KEYS);
    this.keys.setAttribute("aria-hidden", "true"); // The stage's own name says it.
    this.plot = element("div", "mkmap-plot");
    this.plot.setAttribute("role", "img");
    this.plot.setAttribute("aria-label", "Map of the memory, not drawn yet");
    this.over = document.createElementNS(SVG, "svg");
    this.over.setAttribute("class", "mkmap-over");
    this.over.setAttribute("aria-hidden", "true");
    this.names = shape("g", {}, this.over);
    this.answer = shape("g", {}, this.over);
    this.ring = shape("circle", { class: "mkmap-hover", r: 8, visibility: "hidden" }, this.over);
    this.lasso = shape("path", { class: "mkmap-lasso", visibility: "hidden" }, this.over);
    this.tip = element("div", "mkmap-tip");
    this.tip.hidden = true;
    this.wait = element("div", "mkmap-wait", "Drawing the map …");
    this.stage.append(this.plot, this.over, this.wait, this.tip, this.keys);
    this.legend = element("div", "mkmap-legend");
    const body = element("div", "mkmap-body");
    body.append(this.stage, this.legend);
    this.footer = element("div", "mkmap-numbers");
    this.root.replaceChildren(bar, body, this.footer);

    this.stage.addEventListener("pointerdown", (event) => this.pressed(event));
    this.stage.addEventListener("wheel", (event) => this.wheeled(event), { passive: false });
    this.stage.addEventListener("pointermove", (event) => this.moved(event));
    this.stage.addEventListener("pointerleave", () => this.hover(-1));
    this.stage.addEventListener("keydown", (event) => this.onKey(event));
    this.stage.addEventListener("blur", () => this.hover(-1));
    // Leaving for a button next to the map: what was done here must arrive first.
    this.root.addEventListener("pointerleave", () => this.log.flush());
    this.root.addEventListener("focusout", (event) => {
      if (!this.root.contains(event.relatedTarget)) this.log.flush();
    });
  }

  // ---- Data from Python ---------------------------------------------------------------------

  update(data) {
    const earlier = this.data;
    this.data = data;
    if (!hub.modes.has(data.scope)) {
      hub.modes.set(data.scope, { mode: "lasso", takeOut: false, views: new Map() });
    }
    this.log = ActionLog.of(data.scope);
    this.log.acknowledge(data.ack);
    this.settings = hub.modes.get(data.scope);
    this.album = album(data.scope);
    if (earlier?.codes !== data.codes) this.codes = decode(data.codes, Uint16Array);
    if (earlier?.shown !== data.shown) this.kept = decode(data.shown, Uint8Array);
    this.values = data.value ? decode(data.value.values, Float32Array) : null;
    this.root.style.setProperty("--mkmap-stage", `${data.height}px`);
    this.root.classList.toggle("pickable", data.pickable);
    this.readColours();
    this.paintBar();
    this.paintLegend();
    this.refresh();
    if (this.basket().size !== this.saidOf) this.notice.textContent = "";
  }

  readColours() {
    const probe = element("span", "mkmap-probe");
    this.root.append(probe);
    const colour = (name) => {
      probe.style.color = `var(--mk-${name})`;
      return getComputedStyle(probe).color;
    };
    this.colours = { forget: colour("forget"), muted: colour("muted") };
    probe.style.color = "light-dark(rgb(0, 0, 0), rgb(255, 255, 255))";
    this.dark = getComputedStyle(probe).color === "rgb(255, 255, 255)";
    probe.remove();
  }

  basket() {
    const picked = new Set(this.data.basket);
    for (const [, kind, values] of this.log.pending) {
      if (kind === "off") continue;
      const on = kind.endsWith("add");
      for (const id of values) on ? picked.add(id) : picked.delete(id);
    }
    return picked;
  }

  off() {
    const last = this.log.pending.findLast(([, kind]) => kind === "off");
    return new Set(last ? last[2] : this.data.off);
  }

  // Draws if everything that is needed has arrived, and only what has changed.
  refresh() {
    if (!this.data || !this.root.isConnected) return;
    const cloud = hub.points.get(this.data.points);
    const wide = this.stage.clientWidth > 0;
    if (!cloud || !window.Plotly || !wide || this.codes.length !== cloud.n) return;
    if (cloud !== this.cloud) {
      this.cloud = cloud;
      this.view = this.settings.views.get(cloud.name) ?? this.wholeView();
      this.hover(-1);
    }
    const signature = [
      ...[cloud.name, this.data.codes, this.data.shown, this.data.ghosts, this.dark],
      ...[[...this.off()].join(), this.data.deleted.join(), [...this.basket()].join()],
      JSON.stringify(this.data.groups),
    ].join("|");
    if (signature === this.drawn) {
      this.paintOver();
      this.paintTip();
      return;
    }
    this.drawn = signature;
    this.draw();
  }

  // ---- Drawing ------------------------------------------------------------------------------

  classify() {
    const { cloud, data } = this;
    const off = this.off();
    this.gone = new Set(data.deleted);
    const shown = new Uint8Array(cloud.n);
    for (let i = 0; i < cloud.n; i++) {
      shown[i] = this.kept[i] && !off.has(this.codes[i]) ? ALIVE : 0;
    }
    if (data.ghosts) {
      for (const id of this.gone) {
        const i = indexOf(cloud, id);
        if (i !== undefined && shown[i]) shown[i] = GHOST;
      }
    }
    this.shown = shown;
  }

  draw() {
    this.classify();
    const { cloud, data, shown, codes } = this;
    const sizes = new Uint32Array(data.groups.length);
    let ghosts = 0;
    for (let i = 0; i < cloud.n; i++) {
      if (shown[i] === ALIVE) sizes[codes[i]]++;
      else if (shown[i] === GHOST) ghosts++;
    }
    const arrays = (n) => ({ x: new Float32Array(n), y: new Float32Array(n), n: 0 });
    const clouds = Array.from(sizes, arrays);
    const faint = arrays(ghosts);
    const put = (into, i) => {
      into.x[into.n] = cloud.xy[2 * i];
      into.y[into.n++] = cloud.xy[2 * i + 1];
    };
    for (let i = 0; i < cloud.n; i++) {
      if (shown[i] === ALIVE) put(clouds[codes[i]], i);
      else if (shown[i] === GHOST) put(faint, i);
    }
    const picked = [...this.basket()]
      .map((id) => indexOf(cloud, id))
      .filter((i) => i !== undefined && shown[i] === ALIVE);
    const rings = arrays(picked.length);
    for (const i of picked) put(rings, i);

    const size = cloud.n > 40000 ? 3 : cloud.n > 4000 ? 4.5 : 7;
    webGL ??= hasWebGL();
    const trace = ({ x, y }, marker) => ({
      type: webGL ? "scattergl" : "scatter",
      mode: "markers",
      x,
      y,
      marker,
      hoverinfo: "skip",
    });
    const opacity = cloud.n > 40000 ? 0.6 : 0.75;
    const { forget, muted } = this.colours;
    const traces = clouds.map((points, g) =>
      trace(points, {
        size,
        opacity,
        color: this.dark ? data.groups[g].dark : data.groups[g].light,
        line: { width: 0 },
      }),
    );
    const ghost = { symbol: "circle-open", size: size + 2, color: muted, opacity: 0.7 };
    traces.push(trace(faint, { ...ghost, line: { width: 1, color: muted } }));
    // Wide rings around many points would leave no point to see.
    const many = picked.length > 200;
    const mark = { symbol: "circle-open", size: size + (many ? 2.5 : 5), color: forget, opacity: 1 };
    traces.push(trace(rings, { ...mark, line: { width: many ? 1.3 : 2, color: forget } }));
    this.numbers = {
      drawn: sizes.reduce((a, b) => a + b, 0),
      ghosts,
      deleted: data.deleted.length,
      basket: this.basket().size,
      hidden: cloud.n - sizes.reduce((a, b) => a + b, 0) - ghosts,
    };
    const layout = this.layout();
    const config = { staticPlot: true, responsive: false };
    this.drawnView = this.view;
    Promise.resolve(window.Plotly.react(this.plot, traces, layout, config)).then(() =>
      this.afterDrawing(),
    );
  }

  layout() {
    const axis = { visible: false, autorange: false };
    return {
      margin: { l: 0, r: 0, t: 0, b: 0, pad: 0 },
      width: this.stage.clientWidth,
      height: this.stage.clientHeight,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      hovermode: false,
      showlegend: false,
      xaxis: { ...axis, range: [...this.view.x] },
      yaxis: { ...axis, range: [...this.view.y] },
    };
  }

  afterDrawing() {
    if (!this.root.isConnected) return;
    this.plotted = true;
    this.wait.hidden = true;
    const { drawn, deleted, hidden, basket } = this.numbers;
    const words = [
      `${count(drawn)} drawn`,
      `${count(hidden)} hidden by filters`,
      `${count(deleted)} deleted${this.data.ghosts || !deleted ? "" : ", drawn as before"}`,
      `${count(basket)} in the basket`,
    ];
    this.footer.textContent = words.join(" · ") + (webGL ? "" : " · slow, as WebGL is missing");
    this.plot.setAttribute(
      "aria-label",
      `Map of ${count(this.cloud.n)} memories: ${words.join(", ")}. ` +
        "Nearby points are images that the model finds similar.",
    );
    this.root.dataset.drawn = JSON.stringify({ ...this.numbers, points: this.cloud.name });
    this.paintOver();
    this.paintTip();
  }

  // ---- The view: what part of the plane is on screen ----------------------------------------

  wholeView() {
    const { x0, x1, y0, y1 } = this.cloud.grid;
    const [width, height] = [this.stage.clientWidth, this.stage.clientHeight];
    const margin = 24;
    const unit = Math.max(
      (x1 - x0) / Math.max(1, width - 2 * margin),
      (y1 - y0) / Math.max(1, height - 2 * margin),
      1e-9,
    );
    return this.around((x0 + x1) / 2, (y0 + y1) / 2, unit);
  }

  // One unit is as long across as upwards: only nearness means something on a map.
  around(x, y, unit) {
    const [w, h] = [(this.stage.clientWidth * unit) / 2, (this.stage.clientHeight * unit) / 2];
    return { x: [x - w, x + w], y: [y - h, y + h] };
  }

  get unit() {
    return (this.view.x[1] - this.view.x[0]) / Math.max(1, this.stage.clientWidth);
  }

  // To another part of the map. The picture of the points follows at once, as it is; Plotly draws
  // it anew when there is time: a hundred thousand points in software take a moment.
  moveTo(view) {
    if (!this.plotted) return;
    this.view = view;
    this.hover(-1);
    this.paintOver();
    clearTimeout(this.viewTimer);
    this.viewTimer = setTimeout(() => this.setView(this.view), REDRAW_AFTER_MS);
  }

  setView(view, size = {}) {
    if (!this.plotted) return;
    clearTimeout(this.viewTimer);
    this.view = this.drawnView = view;
    if (this.whole()) this.settings.views.delete(this.cloud.name);
    else this.settings.views.set(this.cloud.name, view);
    this.hover(-1);
    const change = { ...size, "xaxis.range": [...view.x], "yaxis.range": [...view.y] };
    Promise.resolve(window.Plotly.relayout(this.plot, change)).then(() => this.paintOver());
  }

  // Shows the points as Plotly has drawn them at the place that is on screen by now.
  followView() {
    const { drawnView, stage } = this;
    const [left, top] = this.toScreen(drawnView.x[0], drawnView.y[1]);
    const scale = (drawnView.x[1] - drawnView.x[0]) / (this.unit * stage.clientWidth);
    const still = Math.abs(left) + Math.abs(top) < 0.01 && Math.abs(scale - 1) < 1e-6;
    this.plot.style.transform = still ? "" : `translate(${left}px, ${top}px) scale(${scale})`;
  }

  wheeled(event) {
    if (!this.plotted) return;
    event.preventDefault();
    const [px, py] = this.position(event);
    const [x, y] = this.toData(px, py);
    const step = event.deltaMode === 0 ? event.deltaY : 30 * event.deltaY; // Pixels or lines.
    const widest = (this.cloud.grid.cell * this.cloud.grid.size) / 150;
    const wanted = this.unit * Math.exp(Math.max(-150, Math.min(150, step)) * 0.0022);
    const unit = Math.max(widest / 20000, Math.min(widest, wanted));
    const { clientWidth: width, clientHeight: height } = this.stage;
    // What is under the pointer stays there.
    const [left, high] = [x - px * unit, y + py * unit];
    this.moveTo({ x: [left, left + width * unit], y: [high - height * unit, high] });
  }

  zoom(factor) {
    if (!this.plotted) return;
    const { x, y } = this.view;
    this.setView(this.around((x[0] + x[1]) / 2, (y[0] + y[1]) / 2, this.unit * factor));
  }

  // As near as leaves star and neighbours on screen, with room for their pictures.
  zoomToQuery() {
    const query = this.data.query;
    if (!query || !this.plotted) return;
    const [x, y] = query.at;
    let [far, up] = [0, 0];
    for (const { at } of query.links) {
      far = Math.max(far, Math.abs(at[0] - x));
      up = Math.max(up, Math.abs(at[1] - y));
    }
    const room = 100;
    const unit = Math.max(
      far / Math.max(40, this.stage.clientWidth / 2 - room),
      up / Math.max(40, this.stage.clientHeight / 2 - room),
      (this.cloud.grid.cell * this.cloud.grid.size) / 6000,
    );
    this.setView(this.around(x, y, unit));
  }

  // Whether the whole map is on screen, as at first: it stays so when the window changes.
  whole() {
    const { x, y } = this.wholeView();
    const near = (a, b) => Math.abs(a - b) < 1e-3 * (x[1] - x[0]);
    return [0, 1].every((k) => near(x[k], this.view.x[k]) && near(y[k], this.view.y[k]));
  }

  resized() {
    if (!this.plotted) {
      this.refresh();
      return;
    }
    const [width, height] = [this.stage.clientWidth, this.stage.clientHeight];
    if (!width || !height) return;
    const { x, y } = this.view;
    const shown = this.settings.views.has(this.cloud.name)
      ? this.around((x[0] + x[1]) / 2, (y[0] + y[1]) / 2, (y[1] - y[0]) / height)
      : this.wholeView();
    this.setView(shown, { width, height });
  }

  toScreen(x, y) {
    const { view, stage } = this;
    return [
      ((x - view.x[0]) / (view.x[1] - view.x[0])) * stage.clientWidth,
      ((view.y[1] - y) / (view.y[1] - view.y[0])) * stage.clientHeight,
    ];
  }

  toData(px, py) {
    const { view, stage } = this;
    return [
      view.x[0] + (px / stage.clientWidth) * (view.x[1] - view.x[0]),
      view.y[1] - (py / stage.clientHeight) * (view.y[1] - view.y[0]),
    ];
  }

  // ---- Over the points: names of groups, the query and who answers --------------------------

  paintOver() {
    if (!this.plotted) return;
    this.over.setAttribute("width", this.stage.clientWidth);
    this.over.setAttribute("height", this.stage.clientHeight);
    this.root.dataset.view = JSON.stringify(this.view);
    this.followView();
    this.paintNames();
    this.paintAnswer();
  }

  paintNames() {
    this.names.replaceChildren();
    const off = this.off();
    const taken = [];
    for (const [g, group] of this.data.groups.entries()) {
      if (!group.at || off.has(g) || !group.count) continue;
      let [x, y] = this.toScreen(...group.at);
      const { print = 1 } = this.data;
      const half = 4.2 * print * group.label.length;
      const width = this.stage.clientWidth;
      if (x > 0 && x < width) x = Math.max(half + 4, Math.min(width - half - 4, x));
      // Two names at one place: the later one gives way downwards.
      for (let tries = 0; tries < 8; tries++) {
        const hit = taken.find((t) => Math.abs(t.y - y) < 19 * print && Math.abs(t.x - x) < t.half + half);
        if (!hit) break;
        y = hit.y + 20 * print;
      }
      taken.push({ x, y, half });
      shape("text", { class: "mkmap-name", x, y }, this.names).textContent = group.label;
    }
  }

  paintAnswer() {
    this.answer.replaceChildren();
    const query = this.data.query;
    if (!query) return;
    const [sx, sy] = this.toScreen(...query.at);
    const places = query.links.map((link) => {
      const [x, y] = this.toScreen(...link.at);
      return { link, x, y, far: Math.hypot(x - sx, y - sy), angle: Math.atan2(y - sy, x - sx) };
    });
    for (const { link, x, y } of places) {
      const line = { x1: sx, y1: sy, x2: x, y2: y, class: link.gone ? "mkmap-lost" : "mkmap-link" };
      shape("line", { ...line, "stroke-width": link.gone ? 1.5 : 1.5 + 5 * link.weight }, this.answer);
    }
    const note = shape("text", { class: "mkmap-name", x: sx, y: sy + 25 * (this.data.print ?? 1) }, this.answer);
    note.textContent = query.note;
    this.paintLabels(places, sx, sy);
    const points = Array.from({ length: 10 }, (_, k) => {
      const [r, a] = [k % 2 ? 5.5 : 13, (Math.PI * k) / 5 - Math.PI / 2];
      return `${sx + r * Math.cos(a)},${sy + r * Math.sin(a)}`;
    });
    const star = shape("polygon", { class: "mkmap-star", points: points.join(" ") }, this.answer);
    shape("title", {}, star).textContent = query.label;
  }

  // Pictures stand on a circle around the star, as near to their point's direction as there is
  // room; a far neighbour has its picture beside its own point.
  paintLabels(places, sx, sy) {
    const print = this.data.print ?? 1;
    const RADIUS = 84 * print;
    const HALF = 17 * print;
    const HIGH = 2 * HALF + 20 * print; // The picture, and its share below.
    const near = places.filter((p) => p.far < RADIUS + 30).sort((a, b) => a.angle - b.angle);
    const gap = Math.min(0.72, (2 * Math.PI) / Math.max(1, near.length));
    for (let round = 0; round < 30 && near.length > 1; round++) {
      for (let k = 0; k < near.length; k++) {
        const [a, b] = [near[k], near[(k + 1) % near.length]];
        let between = b.angle - a.angle;
        if (k === near.length - 1) between += 2 * Math.PI;
        const lack = gap - between;
        if (lack > 0) {
          a.angle -= lack / 2;
          b.angle += lack / 2;
        }
      }
    }
    for (const place of places) {
      const [ux, uy] = [Math.cos(place.angle), Math.sin(place.angle)];
      const close = place.far < RADIUS + 30;
      place.lx = close ? sx + RADIUS * ux : place.x + 2 * HALF * ux;
      place.ly = close ? sy + RADIUS * uy : place.y + 2 * HALF * uy;
    }
    this.pushApart(places, HALF, HIGH);
    for (const { link, x, y, lx, ly } of places) {
      shape("line", { x1: x, y1: y, x2: lx, y2: ly, class: "mkmap-leader" }, this.answer);
      shape("circle", { cx: x, cy: y, r: 5, class: "mkmap-hit" }, this.answer);
      const frame = { x: lx - HALF, y: ly - HALF, width: 2 * HALF, height: 2 * HALF };
      const card = { ...frame, x: frame.x - 2, y: frame.y - 2, width: 2 * HALF + 4, height: HIGH, rx: 5 };
      shape("rect", { ...card, class: link.gone ? "mkmap-card gone" : "mkmap-card" }, this.answer);
      shape("image", { ...frame, href: link.picture, class: "mkmap-picture" }, this.answer);
      const text = shape("text", { x: lx, y: ly + HALF + 13 * print, class: "mkmap-share" }, this.answer);
      text.textContent = link.share;
      if (link.gone) text.classList.add("gone");
    }
  }

  // Pictures that cover each other give way, each by half, in the direction that takes least; those
  // of visible points stay on the stage.
  pushApart(places, half, tall) {
    const [wide, high] = [2 * half + 8, tall + 4];
    const { clientWidth: width, clientHeight: height } = this.stage;
    const away = (gap, room) => (room / 2) * (Math.sign(gap) || 1);
    for (let round = 0; round < 30; round++) {
      for (let i = 0; i < places.length; i++) {
        const a = places[i];
        for (const b of places.slice(0, i)) {
          const [dx, dy] = [a.lx - b.lx, a.ly - b.ly];
          const [lackX, lackY] = [wide - Math.abs(dx), high - Math.abs(dy)];
          if (lackX <= 0 || lackY <= 0) continue;
          const [axis, step] = lackX < lackY ? ["lx", away(dx, lackX)] : ["ly", away(dy, lackY)];
          a[axis] += step;
          b[axis] -= step;
        }
      }
      for (const place of places) {
        if (place.x <= 0 || place.x >= width || place.y <= 0 || place.y >= height) continue;
        place.lx = Math.max(half + 4, Math.min(width - half - 4, place.lx));
        place.ly = Math.max(half + 4, Math.min(height + half - tall - 2, place.ly));
      }
    }
  }

  // ---- Legend and toolbar -------------------------------------------------------------------

  paintBar() {
    const { mode, takeOut } = this.settings;
    for (const [name, node] of Object.entries(this.modeButtons)) {
      node.setAttribute("aria-pressed", String(name === mode));
      node.hidden = !this.data.pickable && name !== "pan";
    }
    this.takeOut.hidden = !this.data.pickable || mode === "pan";
    this.takeOut.setAttribute("aria-pressed", String(takeOut));
    this.pickShown.hidden = !this.data.pickable;
    this.pickShown.textContent = takeOut ? "Take out shown" : "Pick shown";
    this.pickShown.title = `${takeOut ? "Take out" : "Pick"} all points on screen`;
    this.toQuery.hidden = !this.data.query;
    this.stage.dataset.mode = mode;
  }

  setMode(mode) {
    this.settings.mode = mode;
    this.paintBar();
  }

  paintLegend() {
    const off = this.off();
    const focused = this.legend.contains(document.activeElement)
      ? document.activeElement.dataset.focus
      : null;
    const list = element("div", "mkmap-groups");
    list.setAttribute("role", "group");
    list.setAttribute("aria-label", `${this.data.title}: show or hide`);
    for (const [g, group] of this.data.groups.entries()) {
      const line = element("div", "mkmap-group");
      const node = button("mkmap-toggle");
      const swatch = element("span", "mkmap-swatch");
      swatch.style.background = this.dark ? group.dark : group.light;
      node.append(swatch, element("span", "mkmap-label", group.label));
      node.append(element("span", "mkmap-count", count(group.count)));
      node.setAttribute("aria-pressed", String(!off.has(g)));
      node.title = off.has(g) ? `Show ${group.label}` : `Hide ${group.label}`;
      node.dataset.group = node.dataset.focus = String(g);
      node.onclick = () => this.toggleGroup(g);
      const only = button("mkmap-only", "only", `Show only ${group.label}`);
      only.dataset.focus = `only-${g}`;
      only.onclick = () => this.onlyGroup(g);
      line.append(node, only);
      list.append(line);
    }
    const title = element("div", "mkmap-title", this.data.title);
    const all = button("mkmap-all", "Show all");
    all.dataset.focus = "all";
    all.disabled = !off.size;
    all.onclick = () => this.setOff(new Set());
    this.legend.replaceChildren(title, list, all);
    if (focused) this.legend.querySelector(`[data-focus="${focused}"]`)?.focus();
  }

  toggleGroup(g) {
    const off = this.off();
    if (!off.delete(g)) off.add(g);
    this.setOff(off);
  }

  onlyGroup(g) {
    const others = this.data.groups.map((_, k) => k).filter((k) => k !== g);
    this.setOff(new Set(others));
  }

  setOff(off) {
    this.act("off", [...off].sort((a, b) => a - b));
    this.paintLegend();
  }

  // ---- What a person does with the points ---------------------------------------------------

  act(kind, values) {
    this.log.add(kind, values);
    this.refresh();
  }

  position(event) {
    const box = this.stage.getBoundingClientRect();
    const { clientLeft, clientTop } = this.stage; // The border is no part of the map.
    return [event.clientX - box.left - clientLeft, event.clientY - box.top - clientTop];
  }

  // From here to the release; the events are the window's, as a drag may leave the stage.
  pressed(event) {
    if (event.button !== 0 || !this.plotted || !event.isPrimary) return;
    const { mode } = this.settings;
    const drawing = mode !== "pan" && this.data.pickable;
    const path = [this.position(event)];
    const { view, unit } = this;
    let far = false;
    const move = (next) => {
      const [x, y] = this.position(next);
      const [lastX, lastY] = path[path.length - 1];
      far ||= Math.hypot(x - path[0][0], y - path[0][1]) >= CLICK_PX;
      if (!far) return;
      if (!drawing) {
        const [dx, dy] = [(x - path[0][0]) * unit, (y - path[0][1]) * unit];
        this.moveTo({ x: view.x.map((v) => v - dx), y: view.y.map((v) => v + dy) });
        return;
      }
      this.hover(-1);
      if (mode === "box") path.length = 1;
      if (mode === "box" || Math.hypot(x - lastX, y - lastY) >= 1.5) path.push([x, y]);
      this.drawLasso(this.outline(path, mode));
    };
    const end = () => {
      window.removeEventListener("pointermove", move);
      window.removeEventListener("pointerup", up);
      window.removeEventListener("pointercancel", end);
      window.removeEventListener("keydown", escape, true);
      this.drawLasso(null);
      this.dragging = false;
    };
    const up = (last) => {
      move(last);
      end();
      if (!far) this.clicked(path[0]);
      else if (!drawing) this.setView(this.view);
      else this.enclose(this.outline(path, mode), last.shiftKey || event.shiftKey);
    };
    const escape = (key) => {
      if (key.key === "Escape") end();
    };
    this.dragging = true;
    event.preventDefault(); // No text of the page gets selected.
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", up);
    window.addEventListener("pointercancel", end);
    window.addEventListener("keydown", escape, true);
  }

  outline(path, mode) {
    if (mode !== "box") return path;
    const [[x0, y0], [x1, y1]] = [path[0], path[path.length - 1]];
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
  }

  drawLasso(path) {
    this.lasso.setAttribute("visibility", path ? "visible" : "hidden");
    if (path) this.lasso.setAttribute("d", `M${path.map((p) => p.join()).join("L")}Z`);
  }

  enclose(path, shift) {
    if (path.length < 3) return;
    const { cloud } = this;
    const polygon = path.flatMap(([x, y]) => this.toData(x, y));
    const xs = polygon.filter((_, k) => k % 2 === 0);
    const ys = polygon.filter((_, k) => k % 2 === 1);
    const found = [];
    const visit = (i) => {
      const [x, y] = [cloud.xy[2 * i], cloud.xy[2 * i + 1]];
      if (this.shown[i] === ALIVE && inside(polygon, x, y)) found.push(cloud.ids[i]);
    };
    within(
      cloud.grid,
      ...[Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)],
      visit,
    );
    this.pick(found, !(shift || this.settings.takeOut));
  }

  // Adds or removes what can be, and says so.
  pick(ids, add) {
    const picked = this.basket();
    const able = ids.filter((id) => !this.gone.has(id));
    const changed = able.filter((id) => picked.has(id) !== add);
    const size = picked.size + (add ? changed.length : -changed.length);
    const rest = `${count(size)} in the basket`;
    if (!able.length) this.say("No point in there that can be picked");
    else this.say(`${count(changed.length)} ${add ? "added" : "taken out"}, ${rest}`, size);
    if (changed.length) this.act(add ? "add" : "remove", changed);
  }

  clicked(at) {
    const i = this.nearest(...at);
    if (i >= 0) this.toggle(i);
  }

  toggle(i) {
    if (!this.data.pickable) return;
    const id = this.cloud.ids[i];
    if (this.gone.has(id)) {
      this.say("Its key is deleted: undo brings it back");
      return;
    }
    const picked = this.basket();
    const add = !picked.has(id);
    const size = picked.size + (add ? 1 : -1);
    this.say(`${add ? "1 added" : "1 taken out"}, ${count(size)} in the basket`, size);
    this.act(add ? "click-add" : "click-remove", [id]);
  }

  // basket: how many are in it as far as the text knows; it goes when that is no longer so.
  say(text, basket = this.basket().size) {
    this.notice.textContent = text;
    this.saidOf = basket;
  }

  // ---- By keyboard --------------------------------------------------------------------------

  onKey(event) {
    if (!this.plotted || event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = ARROWS[event.key];
    if (arrow) this.step(...arrow);
    else if (event.key === " " || event.key === "Enter") {
      if (!event.repeat && this.hovered >= 0) this.toggle(this.hovered);
    } else if (event.key === "+" || event.key === "=") this.zoomAt(0.6);
    else if (event.key === "-") this.zoomAt(1 / 0.6);
    else if (event.key === "0") this.setView(this.wholeView());
    else return;
    event.preventDefault();
    event.stopPropagation(); // Streamlit has page-wide shortcuts of its own.
  }

  // To the next point in a direction: near, and not far off the straight way. At first to the one
  // nearest the middle.
  step(dx, dy) {
    const { clientWidth: width, clientHeight: height } = this.stage;
    const start = this.hovered >= 0 ? this.screenOf(this.hovered) : [width / 2, height / 2];
    const found = this.hovered >= 0 ? this.ahead(start, dx, dy) : this.closest(start);
    if (found < 0) return;
    const [x, y] = this.screenOf(found);
    if (x < 0 || y < 0 || x > width || y > height) {
      const [px, py] = [this.cloud.xy[2 * found], this.cloud.xy[2 * found + 1]];
      this.setView(this.around(px, py, this.unit));
    }
    this.hover(found);
    this.ask();
    this.say(this.inWords(found));
  }

  ahead([x, y], dx, dy) {
    let [best, cost] = [-1, Infinity];
    for (let reach = 40; reach <= FAR_PX && best < 0; reach *= 2) {
      for (const i of this.nearby(x, y, reach)) {
        const [px, py] = this.screenOf(i);
        const along = (px - x) * dx + (py - y) * dy;
        const aside = Math.abs((px - x) * dy) + Math.abs((py - y) * dx);
        if (along < STEP_PX || aside > along) continue;
        if (along + 2 * aside < cost) [best, cost] = [i, along + 2 * aside];
      }
    }
    return best;
  }

  closest([x, y]) {
    for (let reach = 40; reach <= FAR_PX; reach *= 2) {
      const [found] = this.nearby(x, y, reach);
      if (found !== undefined) return found;
    }
    return -1;
  }

  screenOf(i) {
    return this.toScreen(this.cloud.xy[2 * i], this.cloud.xy[2 * i + 1]);
  }

  // Nearer or farther, with the point that is looked at in the middle.
  zoomAt(factor) {
    const i = this.hovered;
    if (i < 0) return this.zoom(factor);
    const [x, y] = [this.cloud.xy[2 * i], this.cloud.xy[2 * i + 1]];
    this.setView(this.around(x, y, this.unit * factor));
    this.hover(i);
  }

  inWords(i) {
    const id = this.cloud.ids[i];
    const where = this.gone.has(id) ? ", key deleted" : this.basket().has(id) ? ", picked" : "";
    return `${this.cloud.classes[this.cloud.labels[i]]}, ${id}${where}`;
  }

  onScreen() {
    if (!this.plotted) return [];
    const { cloud, view, shown } = this;
    const found = [];
    within(cloud.grid, ...view.x, ...view.y, (i) => {
      const [x, y] = [cloud.xy[2 * i], cloud.xy[2 * i + 1]];
      const inside = x >= view.x[0] && x <= view.x[1] && y >= view.y[0] && y <= view.y[1];
      if (shown[i] === ALIVE && inside) found.push(cloud.ids[i]);
    });
    return found;
  }

  // ---- Looking at points --------------------------------------------------------------------

  nearest(px, py) {
    return this.nearby(px, py, REACH)[0] ?? -1;
  }

  // Visible points within a distance on screen, nearest first.
  nearby(px, py, reach) {
    const [x, y] = this.toData(px, py);
    const span = reach * this.unit;
    const found = [];
    within(this.cloud.grid, x - span, x + span, y - span, y + span, (i) => {
      if (!this.shown[i]) return;
      const distance = Math.hypot(this.cloud.xy[2 * i] - x, this.cloud.xy[2 * i + 1] - y);
      if (distance <= span) found.push([distance, i]);
    });
    return found.sort((a, b) => a[0] - b[0]).map(([, i]) => i);
  }

  moved(event) {
    if (!this.plotted || this.dragging || event.pointerType === "touch") return;
    this.pointer = this.position(event);
    this.looking ??= requestAnimationFrame(() => {
      this.looking = null;
      if (!this.dragging && this.root.isConnected) this.hover(this.nearest(...this.pointer));
    });
  }

  hover(i) {
    if (i === this.hovered) return;
    this.hovered = i;
    this.paintTip();
    clearTimeout(this.askTimer);
    if (i >= 0) this.askTimer = setTimeout(() => this.ask(), ASK_AFTER_MS);
  }

  // Asks for the picture under the pointer, and for those that the pointer may reach next.
  ask() {
    if (this.hovered < 0 || !this.album.ask) return;
    const { known, wanted } = this.album;
    const now = performance.now();
    const missing = (id) => !known.has(id) && !(now - wanted.get(id) < ASK_AGAIN_MS);
    const [px, py] = this.screenOf(this.hovered);
    if (!missing(this.cloud.ids[this.hovered])) return;
    let near = [];
    for (let reach = REACH; reach <= 200 && near.length < NEAREST; reach *= 1.6) {
      near = this.nearby(px, py, reach);
    }
    const ids = near.slice(0, NEAREST).map((i) => this.cloud.ids[i]);
    const open = [...wanted.keys()].slice(-NEAREST);
    for (const id of ids.filter(missing)) wanted.set(id, now);
    this.album.ask([...new Set([...ids.filter((id) => !known.has(id)), ...open])]);
    setTimeout(() => this.ask(), ASK_AGAIN_MS + 50); // Should the answer have got lost.
  }

  paintTip() {
    const i = this.hovered;
    const visible = i >= 0 && this.shown?.[i] > 0;
    this.tip.hidden = !visible;
    this.ring.setAttribute("visibility", visible ? "visible" : "hidden");
    if (!visible) return;
    const { cloud, data } = this;
    const id = cloud.ids[i];
    const [x, y] = this.screenOf(i);
    this.ring.setAttribute("cx", x);
    this.ring.setAttribute("cy", y);
    const [source, detail] = this.album.known.get(id) ?? ["", ""];
    const text = element("div", "mkmap-words");
    const lines = [
      ["b", cloud.classes[cloud.labels[i]]],
      ["span", id],
      ["span", detail],
      ["span", this.valueOf(i)],
      ["em", this.gone.has(id) ? "key deleted" : this.basket().has(id) ? "in the basket" : ""],
    ];
    for (const [tag, line] of lines) if (line) text.append(element(tag, "", line));
    const frame = element("div", "mkmap-frame");
    if (source) {
      const image = element("img");
      image.src = source;
      image.alt = "";
      frame.append(image);
    }
    this.tip.replaceChildren(frame, text);
    this.tip.dataset.id = id;
    // Beside the pointer, on the side where there is room.
    const { clientWidth: width, clientHeight: height } = this.stage;
    const [w, h] = [this.tip.offsetWidth, this.tip.offsetHeight];
    const left = x + 18 + w <= width ? x + 18 : Math.max(0, x - 18 - w);
    const top = Math.max(0, Math.min(height - h, y - h / 2));
    this.tip.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
  }

  valueOf(i) {
    const { value, groups, title } = this.data;
    if (!value) {
      const label = groups[this.codes[i]].label;
      return label === this.cloud.classes[this.cloud.labels[i]] ? "" : `${title}: ${label}`;
    }
    const number = this.values[i] * value.factor;
    const rounded = Math.abs(number).toFixed(value.digits);
    const zero = Number(rounded) === 0;
    const sign = number < 0 && !zero ? "−" : value.signed && !zero ? "+" : "";
    return `${value.name}: ${sign}${rounded}${value.unit}`;
  }
}

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  if (data instanceof Uint8Array || data instanceof ArrayBuffer) {
    receivePoints(data);
    return undefined;
  }
  if (data.role === "pictures") {
    receivePictures(data, setStateValue);
    return undefined;
  }
  const root = parentElement.querySelector(".mkmap");
  let map = mounts.get(root);
  if (!map) {
    map = new MemoryMap(root);
    mounts.set(root, map);
  }
  map.update(data);
  map.log.send = setStateValue; // A new closure every time: it knows the current fragment.
  // Also called for a run that a newer one has overtaken, while the map stays where it is.
  return () => {
    map.log.rest();
    setTimeout(() => {
      if (!root.isConnected) map.destroy();
    }, 0);
  };
}
