// The memory map in the browser: Plotly draws the points, everything a person does is handled
// here. What it is goes to Python through an ActionLog, as [kind, values].

import { ActionLog } from "../action_log/action_log.js";
import { Camera } from "./camera.js";
import { coloursOf, hasWebGL, layout, traces } from "./drawing.js";
import { ARRIVED, ASK_AGAIN_MS, cloudOf, receive, tabOf, wishes } from "./hub.js";
import { onKey } from "./keyboard.js";
import { paintLegend } from "./legend.js";
import { paintOver } from "./overlay.js";
import { onMove, onPress, onWheel } from "./pointer.js";
import { ALIVE, boundsOf, classify, decode, indexOf, nearby, placeOf, sorted } from "./points.js";
import { enclosed, standing } from "./selection.js";
import { onButton, paintBar } from "./toolbar.js";
import { paintTip } from "./tooltip.js";
import { count, summary } from "./words.js";

const REDRAW_AFTER_MS = 180;
const ASK_AFTER_MS = 70; // A pointer that rushes across the map asks for nothing.
const ENOUGH = 60; // Neighbours on screen whose pictures come along.

const mounts = new WeakMap(); // root element -> the MemoryMap in it
let webGL = null; // once it is known

class MemoryMap {
  constructor(root) {
    this.root = root;
    this.stage = this.part("stage");
    this.plot = this.part("plot");
    this.camera = new Camera(this.stage);
    this.hovered = -1; // the point that is looked at
    this.drawn = ""; // what the present drawing shows
    const keys = this.part("keys").textContent;
    this.stage.setAttribute("aria-label", `Points of the map. ${keys}`);
    this.listen();
  }

  part(name) {
    return this.root.querySelector(`.mkmap-${name}`);
  }

  listen() {
    this.ends = new AbortController();
    const on = (target, name, act, options = {}) =>
      target.addEventListener(name, act, { signal: this.ends.signal, ...options });
    on(window, ARRIVED, () => this.refresh());
    on(window, "munkey:plotly", () => this.refresh());
    on(this.part("bar"), "click", (event) => onButton(this, event));
    on(this.stage, "pointerdown", (event) => onPress(this, event));
    on(this.stage, "wheel", (event) => onWheel(this, event), { passive: false });
    on(this.stage, "pointermove", (event) => onMove(this, event));
    on(this.stage, "pointerleave", () => this.hover(-1));
    on(this.stage, "keydown", (event) => onKey(this, event));
    on(this.stage, "blur", () => this.hover(-1));
    // Leaving for a button next to the map: what was done here must arrive first.
    on(this.root, "pointerleave", () => this.log.flush());
    on(this.root, "focusout", (event) => {
      if (!this.root.contains(event.relatedTarget)) this.log.flush();
    });
    this.resize = new ResizeObserver(() => this.resized());
    this.resize.observe(this.stage);
  }

  destroy() {
    this.ends.abort();
    this.resize.disconnect();
    clearTimeout(this.askTimer);
    clearTimeout(this.viewTimer);
    if (this.plotted) window.Plotly.purge(this.plot);
    mounts.delete(this.root);
  }

  // ---- Data from Python ---------------------------------------------------------------------

  update(data) {
    const earlier = this.data;
    this.data = data;
    this.log = ActionLog.of(data.scope);
    this.log.acknowledge(data.ack);
    this.tab = tabOf(data.scope);
    if (earlier?.codes !== data.codes) this.codes = decode(data.codes, Uint16Array);
    if (earlier?.shown !== data.shown) this.kept = decode(data.shown, Uint8Array);
    this.values = data.value ? decode(data.value.values, Float32Array) : null;
    this.gone = new Set(data.deleted);
    this.root.hidden = false;
    this.root.style.setProperty("--mkmap-stage", `${data.height}px`);
    this.root.classList.toggle("pickable", data.pickable);
    this.colours = coloursOf(this.root);
    paintBar(this);
    paintLegend(this);
    this.refresh();
    if (this.now().basket.size !== this.saidOf) this.part("notice").textContent = "";
  }

  // Basket and hidden groups.
  now() {
    return standing(this.data, this.log.pending);
  }

  // Draws if everything that is needed has arrived, and only what has changed.
  refresh() {
    const { data, camera, root } = this;
    if (!data || !root.isConnected) return;
    const cloud = cloudOf(data.points);
    if (!cloud || !window.Plotly || !camera.size[0] || this.codes.length !== cloud.n) return;
    if (cloud !== this.cloud) {
      this.cloud = cloud;
      camera.bounds = boundsOf(cloud);
      camera.view = this.tab.views.get(cloud.name) ?? camera.whole();
      this.hover(-1);
    }
    const { codes, shown, ghosts, groups } = data;
    const { basket, off } = this.now();
    const sets = [basket, off, this.gone].map((set) => [...set]);
    const drawn = JSON.stringify([cloud.name, codes, shown, ghosts, groups, this.colours, sets]);
    if (drawn === this.drawn) this.paint();
    else this.draw();
    this.drawn = drawn;
  }

  // ---- Drawing ------------------------------------------------------------------------------

  async draw() {
    const { cloud, data, codes, camera, gone } = this;
    const { basket, off } = this.now();
    this.shown = classify(cloud, this.kept, codes, off, data.ghosts ? gone : []);
    const { members, ghosts } = sorted(this.shown, codes, data.groups.length);
    const picked = [...basket].map((id) => indexOf(cloud, id));
    const points = { members, ghosts, picked: picked.filter((i) => this.shown[i] === ALIVE) };
    const drawn = members.flat().length;
    this.numbers = {
      ...{ drawn, ghosts: ghosts.length, hidden: cloud.n - drawn - ghosts.length },
      ...{ deleted: data.deleted.length, basket: basket.size },
    };
    webGL ??= hasWebGL();
    const type = webGL ? "scattergl" : "scatter";
    const all = traces(cloud, data.groups, points, this.colours, type);
    const frame = layout(camera.size, camera.ranges());
    this.drawnView = camera.view;
    await window.Plotly.react(this.plot, all, frame, { staticPlot: true, responsive: false });
    if (!this.root.isConnected) return;
    this.plotted = true;
    this.part("wait").hidden = true;
    const words = summary(this.numbers, this.data.ghosts);
    const slow = webGL ? "" : " · slow, as WebGL is missing";
    this.part("numbers").textContent = words.join(" · ") + slow;
    this.plot.setAttribute(
      "aria-label",
      `Map of ${count(this.cloud.n)} memories: ${words.join(", ")}. ` +
        "Nearby points are images that the model finds similar.",
    );
    this.root.dataset.drawn = JSON.stringify({ ...this.numbers, points: this.cloud.name });
    this.paint();
  }

  // What stands over the points.
  paint() {
    const { camera } = this;
    if (!this.plotted) return;
    this.root.dataset.view = JSON.stringify(camera.ranges());
    this.plot.style.transform = camera.transformOf(this.drawnView);
    paintOver(this.part("over"), camera, this.data, this.now().off);
    paintTip(this);
  }

  // ---- The view: what part of the map is on screen ------------------------------------------

  // The picture of the points follows at once, as it is; Plotly draws it anew when there is time:
  // a hundred thousand points in software take a moment.
  moveTo(view) {
    this.camera.view = view;
    this.hover(-1);
    this.paint();
    clearTimeout(this.viewTimer);
    this.viewTimer = setTimeout(() => this.setView(view), REDRAW_AFTER_MS);
  }

  // size: a new one for Plotly's drawing.
  setView(view, size = {}) {
    const { camera, cloud, tab } = this;
    clearTimeout(this.viewTimer);
    camera.view = this.drawnView = view;
    if (camera.isWhole()) tab.views.delete(cloud.name);
    else tab.views.set(cloud.name, view);
    this.hover(-1);
    const { x, y } = camera.ranges();
    const changed = { ...size, "xaxis.range": x, "yaxis.range": y };
    Promise.resolve(window.Plotly.relayout(this.plot, changed)).then(() => this.paint());
  }

  resized() {
    const { camera, tab, cloud } = this;
    const [width, height] = camera.size;
    if (!this.plotted) this.refresh();
    else if (width && height) {
      const view = tab.views.has(cloud.name) ? camera.view : camera.whole();
      this.setView(view, { width, height });
    }
  }

  // Nearer or farther, with the point that is looked at in the middle, if there is one.
  zoom(factor) {
    const i = this.hovered;
    this.setView(this.camera.zoomed(factor, i < 0 ? undefined : placeOf(this.cloud, i)));
    this.hover(i);
  }

  screenOf(i) {
    return this.camera.toScreen(placeOf(this.cloud, i));
  }

  // ---- What a person does with the points ---------------------------------------------------

  // changed: what dragging does.
  set(changed) {
    Object.assign(this.tab, changed);
    paintBar(this);
  }

  // groups: those that the legend hides.
  setOff(groups) {
    this.act("off", [...groups].sort((a, b) => a - b));
    paintLegend(this);
  }

  act(kind, values) {
    this.log.add(kind, values);
    this.refresh();
  }

  drawLasso(outline) {
    this.part("lasso").setAttribute("points", outline.join(" "));
  }

  // Adds or takes out what an outline on screen encloses.
  pick(outline, add) {
    if (outline.length < 3) return;
    const corners = outline.map((corner) => this.camera.toData(corner));
    const ids = enclosed(this.cloud, this.shown, corners).filter((id) => !this.gone.has(id));
    if (ids.length) this.change(ids, add);
    else this.say("No point in there that can be picked");
  }

  toggle(i) {
    if (!this.data.pickable) return;
    const id = this.cloud.ids[i];
    if (this.gone.has(id)) this.say("Its key is deleted: undo brings it back");
    else this.change([id], !this.now().basket.has(id), "click-");
  }

  // how: comes before the action's name.
  change(ids, add, how = "") {
    const picked = this.now().basket;
    const changed = ids.filter((id) => picked.has(id) !== add);
    const size = picked.size + (add ? changed.length : -changed.length);
    const done = `${count(changed.length)} ${add ? "added" : "taken out"}`;
    this.say(`${done}, ${count(size)} in the basket`, size);
    if (changed.length) this.act(`${how}${add ? "add" : "remove"}`, changed);
  }

  // basket: how many are in it as far as the text knows; it goes when that is no longer so.
  say(text, basket = this.now().basket.size) {
    this.part("notice").textContent = text;
    this.saidOf = basket;
  }

  // ---- Looking at points --------------------------------------------------------------------

  // Visible points within a distance on screen, nearest first.
  nearby(place, reach) {
    const { cloud, shown, camera } = this;
    return nearby(cloud, shown, camera.toData(place), reach * camera.view.unit);
  }

  hover(i) {
    if (i === this.hovered) return;
    this.hovered = i;
    paintTip(this);
    clearTimeout(this.askTimer);
    if (i >= 0) this.askTimer = setTimeout(() => this.ask(), ASK_AFTER_MS);
  }

  // Asks for the picture under the pointer, and for those that the pointer may reach next.
  ask() {
    if (this.hovered < 0 || !this.tab.ask) return;
    let near = [];
    for (let reach = 12; reach <= 200 && near.length < ENOUGH; reach *= 1.6) {
      near = this.nearby(this.screenOf(this.hovered), reach);
    }
    const ids = [this.hovered, ...near].map((i) => this.cloud.ids[i]);
    const wanted = wishes(this.tab, ids, performance.now());
    if (!wanted.length) return;
    this.tab.ask(wanted);
    setTimeout(() => this.ask(), ASK_AGAIN_MS + 50); // Should the answer have got lost.
  }
}

export default function ({ data, parentElement, setStateValue }) {
  if (receive(data, setStateValue)) return undefined;
  const root = parentElement.querySelector(".mkmap");
  if (!mounts.has(root)) mounts.set(root, new MemoryMap(root));
  const map = mounts.get(root);
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
