// What part of the map is on screen, and what stands where. A view is { middle: [x, y], unit }, the
// unit in data units per CSS pixel, across as upwards: only nearness means something on a map.

const MARGIN = 24; // CSS pixels around the whole map...
const ROOM = 100; // ...and around the star's neighbours, for their pictures.

export class Camera {
  // frame: what the map is drawn in, anything with a clientWidth and a clientHeight.
  constructor(frame) {
    this.frame = frame;
    this.bounds = null; // of the points: { x: [low, high], y: [low, high] }
    this.view = null;
  }

  get size() {
    return [this.frame.clientWidth, this.frame.clientHeight];
  }

  toScreen([x, y]) {
    const { middle, unit } = this.view;
    const [width, height] = this.size;
    return [width / 2 + (x - middle[0]) / unit, height / 2 - (y - middle[1]) / unit];
  }

  toData([px, py]) {
    const { middle, unit } = this.view;
    const [width, height] = this.size;
    return [middle[0] + (px - width / 2) * unit, middle[1] - (py - height / 2) * unit];
  }

  // What is on screen, as bounds.
  ranges() {
    const [left, top] = this.toData([0, 0]);
    const [right, bottom] = this.toData(this.size);
    return { x: [left, right], y: [bottom, top] };
  }

  // ---- Other views ----------------------------------------------------------------------------

  whole() {
    const { x, y } = this.bounds;
    const [across, upwards] = this.size.map((side) => Math.max(1, side - 2 * MARGIN));
    const unit = Math.max((x[1] - x[0]) / across, (y[1] - y[0]) / upwards, 1e-9);
    return { middle: [(x[0] + x[1]) / 2, (y[0] + y[1]) / 2], unit };
  }

  // Whether the whole map is on screen, as at first: it stays so when the window changes.
  isWhole() {
    const { middle, unit } = this.whole();
    const off = this.toScreen(middle).map((place, k) => Math.abs(place - this.size[k] / 2));
    return Math.max(...off) < 0.5 && Math.abs(this.view.unit / unit - 1) < 1e-3;
  }

  zoomed(factor, middle = this.view.middle) {
    return { middle, unit: this.view.unit * factor };
  }

  // By the mouse wheel: what is under the pointer stays there. step: in pixels, positive for out.
  wheeled(place, step) {
    const { middle, unit } = this.view;
    const widest = this.span() / 150;
    const wanted = unit * Math.exp(Math.max(-150, Math.min(150, step)) * 0.0022);
    const next = Math.max(widest / 20000, Math.min(widest, wanted));
    const still = this.toData(place);
    return { middle: still.map((at, k) => at + ((middle[k] - at) * next) / unit), unit: next };
  }

  // What a view becomes when the map is dragged, from one place on screen to another.
  dragged({ middle: [x, y], unit }, [x0, y0], [x1, y1]) {
    return { middle: [x - (x1 - x0) * unit, y + (y1 - y0) * unit], unit };
  }

  // As near as leaves a star and its neighbours on screen.
  onto({ at: star, links }) {
    const units = this.size.map((side, k) => {
      const far = Math.max(0, ...links.map(({ at }) => Math.abs(at[k] - star[k])));
      return far / Math.max(40, side / 2 - ROOM);
    });
    return { middle: star, unit: Math.max(...units, this.span() / 6000) };
  }

  // The longer side of the map.
  span() {
    const { x, y } = this.bounds;
    return Math.max(x[1] - x[0], y[1] - y[0], 1e-6);
  }

  // How CSS moves a picture of another view, around its middle, to where its points are now.
  transformOf(drawn) {
    if (drawn === this.view) return "";
    const [left, top] = this.toScreen(drawn.middle).map((at, k) => at - this.size[k] / 2);
    return `translate(${left}px, ${top}px) scale(${drawn.unit / this.view.unit})`;
  }
}
