// A grid of images one selects by mouse or keyboard; Python holds the truth about the selection.
// Clicks go through an ActionLog (action_log.js): shown at once, sent a moment later, lost never.

import { ActionLog } from "../action_log/action_log.js";
import { element } from "../dom.js";
import { between, changeOf, placeAfter, selectionOf } from "./selection.js";

const mounts = new WeakMap(); // root element -> the Gallery in it

const KEYS =
  "Arrow keys move, Space picks, Shift + arrow picks on, Ctrl + A picks the page, Esc none of it";

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function setAttribute(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

class Gallery {
  constructor(root) {
    this.root = root;
    this.grid = root.querySelector(".grid");
    this.empty = root.querySelector(".empty");
    this.live = root.querySelector(".live");
    this.keys = root.querySelector(".keys");
    this.nodes = new Map(); // id -> tile element, reused from one rerun to the next
    this.data = { tiles: [], selected: [] };
    this.order = []; // ids as shown
    this.tiles = new Map(); // id -> tile data
    this.active = null; // the id that Tab reaches (roving tabindex)
    this.anchor = null; // the id last toggled: a Shift range starts here
    this.log = null;
    this.grid.addEventListener("click", (event) => this.onClick(event));
    this.grid.addEventListener("keydown", (event) => this.onKey(event));
    this.grid.addEventListener("focusin", (event) => this.onFocus(event));
    // Leaving for a button next to the gallery: what was clicked here must arrive first.
    this.grid.addEventListener("focusout", (event) => {
      if (!this.grid.contains(event.relatedTarget)) this.log.flush();
    });
  }

  // ---- Data from Python -------------------------------------------------------------------

  update(data) {
    this.data = data;
    this.log = ActionLog.of(data.scope);
    this.log.acknowledge(data.ack);
    this.tiles = new Map(data.tiles.map((tile) => [tile.id, tile]));
    this.render();
  }

  render() {
    const { data, root, grid } = this;
    const focused = root.getRootNode().activeElement;
    const hadFocus = focused && focused !== grid && grid.contains(focused);
    const wasAt = Math.max(0, this.order.indexOf(this.active));

    root.style.setProperty("--tile", `${data.size}px`);
    root.classList.toggle("selectable", data.selectable);
    root.classList.toggle("pixelated", data.pixelated);
    setAttribute(grid, "role", data.selectable ? "listbox" : "list");
    setAttribute(grid, "aria-label", data.label);
    setAttribute(grid, "aria-multiselectable", data.selectable ? String(!data.single) : null);
    setAttribute(grid, "aria-describedby", data.selectable ? "keys" : null);
    const keys = data.single ? "Arrow keys move, Space chooses" : KEYS;
    setText(this.keys, data.selectable ? keys : "");

    const order = data.tiles.map((tile) => tile.id);
    for (const [id, node] of this.nodes) {
      if (!this.tiles.has(id)) {
        node.remove();
        this.nodes.delete(id);
      }
    }
    let before = grid.firstElementChild;
    for (const id of order) {
      if (!this.nodes.has(id)) this.nodes.set(id, this.createTile(id));
      const node = this.nodes.get(id);
      // Only moved when out of place: moving an element takes its focus away.
      if (node === before) before = before.nextElementSibling;
      else grid.insertBefore(node, before);
      this.fillTile(node, this.tiles.get(id));
    }
    this.order = order;

    grid.hidden = order.length === 0;
    this.empty.hidden = order.length > 0;
    setText(this.empty, data.empty);

    if (!this.tiles.has(this.anchor)) this.anchor = null;
    if (!this.tiles.has(this.active)) {
      this.active = order[Math.min(wasAt, order.length - 1)] ?? null;
    }
    this.paint();
    if (hadFocus && this.active !== null) {
      const node = this.nodes.get(this.active);
      if (root.getRootNode().activeElement !== node) node.focus({ preventScroll: true });
    }
  }

  createTile(id) {
    const node = element("div", "tile", "", { "data-id": id });
    const frame = element("div", "frame");
    // Tiny images: decoding later would flash on every page turn.
    const image = element("img", "image", "", { draggable: "false", decoding: "sync" });
    const mark = element("span", "mark", "", { "aria-hidden": "true" });
    frame.append(image, mark, element("span", "gone", "gone"));
    node.append(frame, ...["label", "caption", "badges"].map((name) => element("div", name)));
    return node;
  }

  fillTile(node, tile) {
    const image = node.querySelector(".image");
    setAttribute(image, "src", tile.src);
    setAttribute(image, "alt", tile.alt);
    setAttribute(node, "title", tile.id);
    setText(node.querySelector(".label"), tile.label);
    const caption = node.querySelector(".caption");
    setText(caption, tile.caption);
    caption.hidden = !tile.caption;
    const badges = node.querySelector(".badges");
    if (badges.dataset.words !== JSON.stringify(tile.badges)) {
      badges.dataset.words = JSON.stringify(tile.badges);
      badges.replaceChildren(...tile.badges.map((word) => element("span", "badge", word)));
    }
    badges.hidden = tile.badges.length === 0;
    node.classList.toggle("deleted", tile.state === "deleted");
  }

  // ---- What is selected -------------------------------------------------------------------

  selection() {
    return selectionOf(this.data, this.log.pending);
  }

  paint() {
    const { selectable } = this.data;
    const selected = this.selection();
    for (const [id, node] of this.nodes) {
      const on = selected.has(id);
      node.classList.toggle("selected", on);
      setAttribute(node, "role", selectable ? "option" : "listitem");
      setAttribute(node, "aria-selected", selectable ? String(on) : null);
      setAttribute(node, "aria-disabled", selectable && !this.canAdd(id) && !on ? "true" : null);
      setAttribute(node, "tabindex", selectable ? (id === this.active ? "0" : "-1") : null);
    }
    const count = this.order.filter((id) => selected.has(id)).length;
    setText(this.live, selectable ? `${count} of ${this.order.length} on this page selected` : "");
  }

  canAdd(id) {
    return this.data.deletedSelectable || this.tiles.get(id).state !== "deleted";
  }

  // Turn these tiles on or off: draw at once, tell Python soon.
  change(ids, on) {
    const { selectable, single } = this.data;
    const change = changeOf(ids, on, this.selection(), (id) => this.canAdd(id), single);
    if (!selectable || !change) return;
    this.log.add(...change);
    this.paint();
  }

  toggle(id) {
    const on = !this.selection().has(id);
    this.anchor = id;
    this.change([id], on);
  }

  // From the tile last toggled to this one, all become what that one is.
  range(id) {
    if (this.anchor === null || this.data.single) {
      this.toggle(id);
      return;
    }
    this.change(between(this.order, this.anchor, id), this.selection().has(this.anchor));
  }

  // ---- Mouse and keyboard -----------------------------------------------------------------

  tileOf(event) {
    const node = event.target.closest(".tile");
    return node && this.grid.contains(node) ? node.dataset.id : null;
  }

  onFocus(event) {
    const id = this.tileOf(event);
    if (id === null || !this.data.selectable || id === this.active) return;
    this.active = id;
    this.paint();
  }

  onClick(event) {
    const id = this.tileOf(event);
    if (id === null || !this.data.selectable) return;
    if (event.shiftKey) this.range(id);
    else this.toggle(id);
  }

  onKey(event) {
    const id = this.tileOf(event);
    if (id === null || !this.data.selectable || event.altKey) return;
    const command = event.ctrlKey || event.metaKey;
    const at = this.order.indexOf(id);
    const columns = getComputedStyle(this.grid).gridTemplateColumns.split(" ").length;
    const to = placeAfter(event.key, at, columns, this.order.length);
    let handled = true;
    if (to !== undefined && !(command && event.key.startsWith("Arrow"))) {
      this.move(at, to, event.shiftKey);
    } else if ((event.key === " " || event.key === "Enter") && !command) {
      if (event.shiftKey) this.range(id);
      else if (!event.repeat) this.toggle(id); // A key held down is one decision, not thirty.
    } else if (event.key.toLowerCase() === "a" && command && !event.shiftKey && !this.data.single) {
      this.change(this.order, true);
    } else if (event.key === "Escape") this.change(this.order, false);
    else handled = false;
    if (handled) {
      event.preventDefault();
      event.stopPropagation(); // Streamlit has page-wide shortcuts of its own.
    }
  }

  move(from, to, extend) {
    if (to < 0 || to >= this.order.length) return;
    const id = this.order[to];
    if (extend && !this.data.single) {
      this.anchor ??= this.order[from];
      this.change([this.anchor], true);
      this.range(id);
    }
    const node = this.nodes.get(id);
    node.focus({ preventScroll: true });
    node.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".gallery");
  if (!mounts.has(root)) mounts.set(root, new Gallery(root));
  const gallery = mounts.get(root);
  gallery.update(data);
  gallery.log.send = setStateValue; // A new closure every time: it knows the current fragment.
  return () => gallery.log.rest();
}
