// Where names and pictures over the points stand, in CSS pixels. print: how many times their
// normal size they have.

const RADIUS = 84; // Of the circle of pictures around the star, in CSS pixels.
const NEAR = 30; // A point so little outside the circle has its picture on it, too.

// names: [{ label, at }], first come, first served. A name that meets another gives way downwards,
// and none that stands on the stage runs out of it at a side.
export function placeNames(names, width, print) {
  const placed = [];
  for (const { label, at } of names) {
    let [x, y] = at;
    const half = 4.2 * print * label.length;
    if (x > 0 && x < width) x = Math.max(half + 4, Math.min(width - half - 4, x));
    const meets = (other) =>
      Math.abs(other.y - y) < 19 * print && Math.abs(other.x - x) < other.half + half;
    for (let tries = 0; tries < 8; tries++) {
      const hit = placed.find(meets);
      if (!hit) break;
      y = hit.y + 20 * print;
    }
    placed.push({ label, x, y, half });
  }
  return placed;
}

// Half a picture's side, and the height of its card: the share stands below.
export const pictureSize = (print) => ({ half: 17 * print, tall: 54 * print });

// The middles (lx, ly) of the pictures of points (x, y). They stand on a circle around the star,
// as near to their point's direction as there is room; a far neighbour has its picture beside its
// own point.
export function placePictures([sx, sy], points, [width, height], print) {
  const radius = RADIUS * print;
  const { half, tall } = pictureSize(print);
  const places = points.map(([x, y]) => {
    const close = Math.hypot(x - sx, y - sy) < radius + NEAR;
    return { x, y, close, angle: Math.atan2(y - sy, x - sx) };
  });
  spread(places.filter((place) => place.close));
  for (const place of places) {
    const [x, y, far] = place.close ? [sx, sy, radius] : [place.x, place.y, 2 * half];
    place.lx = x + far * Math.cos(place.angle);
    place.ly = y + far * Math.sin(place.angle);
  }
  pushApart(places, half, tall, [width, height]);
  return places;
}

// Turns neighbours on the circle away from each other until they have room.
function spread(places) {
  places.sort((a, b) => a.angle - b.angle);
  const gap = Math.min(0.72, (2 * Math.PI) / places.length);
  for (let round = 0; round < 30 && places.length > 1; round++) {
    for (const [k, a] of places.entries()) {
      const b = places[(k + 1) % places.length];
      const turn = k === places.length - 1 ? 2 * Math.PI : 0;
      const lack = Math.max(0, gap - (b.angle - a.angle + turn));
      a.angle -= lack / 2;
      b.angle += lack / 2;
    }
  }
}

// Pictures that cover each other give way, each by half, in the direction that takes least; those
// of visible points stay on the stage.
function pushApart(places, half, tall, [width, height]) {
  const [wide, high] = [2 * half + 8, tall + 4];
  const away = (gap, room) => (room / 2) * (Math.sign(gap) || 1);
  for (let round = 0; round < 30; round++) {
    for (const [i, a] of places.entries()) {
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
