// Where the map's three components meet, each of which runs this script for itself: the points,
// the map, and the pictures that Python sends when they are asked for.

import { opened, unpack } from "./points.js";

export const ARRIVED = "munkey:map-part";
export const ASK_AGAIN_MS = 2500;
const KEPT_CLOUDS = 4; // So that turning between maps is quick.
const MOST_ASKED = 60; // At once, and as many again that are still open.

const hub = (globalThis.munkeyMaps ??= { points: new Map(), tabs: new Map() });

export const cloudOf = (name) => hub.points.get(name);

// What a tab of the browser remembers of a map: what dragging does; views by a cloud's name;
// pictures and lines by id (known), and when they were asked for (wanted); how to ask Python.
export function tabOf(scope) {
  if (!hub.tabs.has(scope)) {
    const [views, known, wanted] = [new Map(), new Map(), new Map()];
    hub.tabs.set(scope, { mode: "lasso", takeOut: false, views, known, wanted, ask: null });
  }
  return hub.tabs.get(scope);
}

// Takes in what is not for the map itself; returns whether it was such. send: Streamlit's
// setStateValue.
export function receive(data, send) {
  const bytes = data instanceof Uint8Array || data instanceof ArrayBuffer;
  if (bytes) receivePoints(opened(data));
  else if (data.role === "pictures") receivePictures(data, send);
  else return false;
  window.dispatchEvent(new Event(ARRIVED));
  return true;
}

function receivePoints(message) {
  const { name } = message.head;
  if (hub.points.has(name)) return;
  hub.points.set(name, unpack(message));
  if (hub.points.size > KEPT_CLOUDS) hub.points.delete(hub.points.keys().next().value);
}

function receivePictures({ scope, pictures }, send) {
  const tab = tabOf(scope);
  tab.ask = (ids) => send("wanted", ids);
  for (const [id, picture] of Object.entries(pictures)) {
    tab.known.set(id, picture);
    tab.wanted.delete(id);
  }
}

// What to ask for, and notes that it is asked for now, in milliseconds: the pictures of these ids,
// and those that have not come yet. Nothing if the first one's is here or on its way.
export function wishes({ known, wanted }, ids, now) {
  const missing = (id) => !known.has(id) && !(now - wanted.get(id) < ASK_AGAIN_MS);
  if (!missing(ids[0])) return [];
  const open = [...wanted.keys()].slice(-MOST_ASKED);
  const asked = ids.slice(0, MOST_ASKED);
  for (const id of asked.filter(missing)) wanted.set(id, now);
  return [...new Set([...asked.filter((id) => !known.has(id)), ...open])];
}
