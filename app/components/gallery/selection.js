// What is selected in a gallery, and what a person's next step makes of it.

// As Python knows it, with what it has not acknowledged on top. pending: [seq, added, removed].
export function selectionOf(data, pending) {
  const selected = new Set(data.selected);
  for (const [, added, removed] of pending) {
    for (const id of added) selected.add(id);
    for (const id of removed) selected.delete(id);
  }
  return selected;
}

// The ids that come in and those that go when these are turned on or off; null if there are none.
// canAdd: id → whether it may come in. single: only one may be selected.
export function changeOf(ids, on, selected, canAdd, single) {
  const changed = ids.filter((id) => selected.has(id) !== on && (!on || canAdd(id)));
  if (!changed.length) return null;
  if (!on) return [[], changed];
  if (!single) return [changed, []];
  return [changed.slice(-1), [...selected].filter((id) => id !== changed.at(-1))];
}

// From one id to another, both included, whichever comes first.
export function between(order, one, other) {
  const [from, to] = [order.indexOf(one), order.indexOf(other)].sort((a, b) => a - b);
  return order.slice(from, to + 1);
}

// Where a key leads to from the place `at` among n, if it leads anywhere.
export function placeAfter(key, at, columns, n) {
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  return { Home: 0, End: n - 1 }[key] ?? (key in steps ? at + steps[key] : undefined);
}
