// The points of a map as Python packs them, and which of them are where.

export const ALIVE = 1; // What is shown of a point: 0 for nothing, ALIVE or GHOST.
export const GHOST = 2;

// A message's head, a line of JSON, and its body.
export function opened(data) {
  const bytes = data instanceof Uint8Array ? data : new Uint8Array(data);
  const end = bytes.indexOf(10);
  const head = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
  return { head, body: bytes.subarray(end + 1) };
}

// A cloud: name, n, classes, xy (x0, y0, x1, ...), labels and ids.
export function unpack({ head, body }) {
  const { n } = head;
  const buffer = body.slice().buffer; // A copy, which starts at a multiple of four.
  const text = new TextDecoder().decode(body.subarray(10 * n));
  return {
    ...head,
    xy: new Float32Array(buffer, 0, 2 * n),
    labels: new Uint16Array(buffer, 8 * n, n),
    ids: n ? text.split("\n") : [],
  };
}

export function decode(text, Kind) {
  return new Kind(Uint8Array.from(atob(text), (char) => char.charCodeAt(0)).buffer);
}

export function indexOf(cloud, id) {
  cloud.index ??= new Map(cloud.ids.map((name, i) => [name, i]));
  return cloud.index.get(id);
}

export const placeOf = ({ xy }, i) => [xy[2 * i], xy[2 * i + 1]];

// Lowest and highest x, lowest and highest y.
export function boundsOf({ n, xy }) {
  let [x0, x1, y0, y1] = n ? [Infinity, -Infinity, Infinity, -Infinity] : [0, 1, 0, 1];
  for (let i = 0; i < n; i++) {
    [x0, x1] = [Math.min(x0, xy[2 * i]), Math.max(x1, xy[2 * i])];
    [y0, y1] = [Math.min(y0, xy[2 * i + 1]), Math.max(y1, xy[2 * i + 1])];
  }
  return { x: [x0, x1], y: [y0, y1] };
}

// Calls visit(i, x, y) for every point in a rectangle. A walk along all of them: a hundred
// thousand take less than a millisecond.
export function within({ n, xy }, { x: [left, right], y: [bottom, top] }, visit) {
  for (let i = 0; i < n; i++) {
    const [x, y] = [xy[2 * i], xy[2 * i + 1]];
    if (x >= left && x <= right && y >= bottom && y <= top) visit(i, x, y);
  }
}

// Points that are shown within a distance of a place, nearest first; in data units.
export function nearby(cloud, shown, [x, y], reach) {
  const found = [];
  within(cloud, { x: [x - reach, x + reach], y: [y - reach, y + reach] }, (i, px, py) => {
    const distance = Math.hypot(px - x, py - y);
    if (shown[i] && distance <= reach) found.push([distance, i]);
  });
  return found.sort((a, b) => a[0] - b[0]).map(([, i]) => i);
}

// What is shown of each point. kept: 0 for those that a filter leaves out. off: hidden groups.
// ghosts: ids that are drawn as deleted.
export function classify(cloud, kept, codes, off, ghosts) {
  const shown = kept.map((keep, i) => (keep && !off.has(codes[i]) ? ALIVE : 0));
  for (const id of ghosts) {
    const i = indexOf(cloud, id);
    if (shown[i]) shown[i] = GHOST;
  }
  return shown;
}

// The points of each group that are drawn, and the ghosts of all groups.
export function sorted(shown, codes, groups) {
  const members = Array.from({ length: groups }, () => []);
  const ghosts = [];
  shown.forEach((state, i) => {
    if (state) (state === GHOST ? ghosts : members[codes[i]]).push(i);
  });
  return { members, ghosts };
}
