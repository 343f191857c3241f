// What the map says in words.

const grouped = new Intl.NumberFormat("en-GB");
export const count = (n) => grouped.format(n);

// numbers: how many points are drawn, hidden, deleted and in the basket. ghosts: whether deleted
// ones are drawn as such.
export function summary({ drawn, hidden, deleted, basket }, ghosts) {
  return [
    `${count(drawn)} drawn`,
    `${count(hidden)} hidden by filters`,
    `${count(deleted)} deleted${ghosts || !deleted ? "" : ", drawn as before"}`,
    `${count(basket)} in the basket`,
  ];
}

// What a point's colour stands for; "" if that is its class, which is said anyway. number: behind
// the colour, where there is one.
export function meaning({ value, groups, title }, code, number, className) {
  if (!value) {
    const { label } = groups[code];
    return label === className ? "" : `${title}: ${label}`;
  }
  const scaled = number * value.factor;
  const rounded = Math.abs(scaled).toFixed(value.digits);
  const sign = Number(rounded) === 0 ? "" : scaled < 0 ? "−" : value.signed ? "+" : "";
  return `${value.name}: ${sign}${rounded}${value.unit}`;
}
