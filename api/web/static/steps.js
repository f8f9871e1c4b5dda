// Where a key leads in a grid.
export function step(event, position, { columns, total, page }) {
  const first = position - (position % columns);
  const to = {
    ArrowRight: position + 1,
    ArrowLeft: position - 1,
    ArrowDown: position + columns,
    ArrowUp: position - columns,
    PageDown: position + page * columns,
    PageUp: position - page * columns,
    Home: event.ctrlKey ? 0 : first,
    End: event.ctrlKey ? total - 1 : first + columns - 1,
  }[event.key];
  return to === undefined ? undefined : Math.min(Math.max(to, 0), total - 1);
}
