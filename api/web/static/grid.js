// A grid of any number of tiles; only the rows near the window exist.
import { element } from "./element.js";
import { Shape } from "./shape.js";
import { step } from "./steps.js";

const AHEAD = 1; // windows above and below that are drawn too

export class Grid {
  #root;
  #bar;
  #told;
  #shape = new Shape(0, 1, 1);
  #widthPx = 0;
  #rows = new Map(); // those that exist, by number
  #current = 0; // the tile that the keyboard is at
  #due = false;

  // `bar` may hide the window's top. `told` has `fill(tile, position)` to put content into a
  // tile, `open(position)`, and `near(first, last)`: these positions are near the window.
  constructor(root, bar, told) {
    this.#root = root;
    this.#bar = bar;
    this.#told = told;
    root.addEventListener("click", (event) => this.#clicked(event));
    root.addEventListener("keydown", (event) => this.#pressed(event));
    addEventListener("scroll", () => this.#drawSoon(), { passive: true });
    new ResizeObserver(() => this.#resized()).observe(root);
  }

  // Another list of so many, from its start.
  show(total) {
    this.#current = 0;
    this.resize(total);
  }

  // The list has another length.
  resize(total) {
    this.#root.hidden = total === 0;
    this.#redraw(total, () => {});
  }

  // Fills the tiles that exist, as there is news.
  refill() {
    for (const row of this.#rows.values()) for (const tile of row.children) this.#fill(tile);
  }

  focus(position) {
    if (position >= this.#shape.total) return;
    this.#current = position;
    this.#reveal(this.#shape.row(position));
    this.#draw();
    this.#tile(position)?.focus({ preventScroll: true });
  }

  #shapeFor(total) {
    const remPx = parseFloat(getComputedStyle(document.documentElement).fontSize);
    this.#widthPx = this.#root.clientWidth;
    this.#shape = new Shape(total, this.#widthPx, remPx);
    this.#root.style.height = `${this.#shape.heightPx}px`;
    this.#root.setAttribute("aria-rowcount", this.#shape.rows);
    this.#root.setAttribute("aria-colcount", this.#shape.columns);
    for (const number of [...this.#rows.keys()]) this.#drop(number);
  }

  // Another width makes other rows; the picture on top stays there.
  #resized() {
    if (!this.#shape.total || !this.#root.clientWidth || this.#root.clientWidth === this.#widthPx) return;
    const above = this.#above();
    const top = Math.floor(above / this.#shape.rowPx) * this.#shape.columns;
    this.#redraw(this.#shape.total, () => {
      if (above > 0) this.#scrollTo(this.#shape.row(top) * this.#shape.rowPx);
    });
  }

  // All rows anew; the tile that has the focus keeps it.
  #redraw(total, scroll) {
    const held = this.#root.contains(document.activeElement) ? this.#current : null;
    this.#shapeFor(total);
    scroll();
    this.#draw();
    if (held !== null) this.focus(held);
  }

  #scrolled() {
    return -this.#root.getBoundingClientRect().top;
  }

  #above() {
    return this.#shape.above(this.#scrolled(), innerHeight);
  }

  #scrollTo(abovePx) {
    scrollBy(0, this.#shape.scrolled(abovePx, innerHeight) - this.#scrolled());
  }

  #coveredPx() {
    return getComputedStyle(this.#bar).position === "sticky" ? this.#bar.offsetHeight : 0;
  }

  #reveal(row) {
    const { rowPx } = this.#shape;
    const top = row * rowPx - this.#coveredPx();
    const bottom = (row + 1) * rowPx - innerHeight;
    const above = this.#above();
    if (above > top) this.#scrollTo(top);
    else if (above < bottom) this.#scrollTo(bottom);
  }

  #drawSoon() {
    if (this.#due || !this.#shape.total) return;
    this.#due = true;
    requestAnimationFrame(() => { this.#due = false; this.#draw(); });
  }

  #draw() {
    if (!this.#shape.total) return;
    const { rowPx, rows, columns, total } = this.#shape;
    const above = this.#above();
    const number = (px) => Math.min(Math.max(Math.floor(px / rowPx), 0), rows - 1);
    const first = number(above - AHEAD * innerHeight), last = number(above + (1 + AHEAD) * innerHeight);
    this.#keep(first, last);
    this.#place(above - this.#scrolled());
    this.#offer(number(above + this.#coveredPx() + rowPx / 2), number(above + innerHeight - rowPx / 2));
    this.#told.near(first * columns, Math.min((last + 1) * columns, total) - 1);
  }

  // These rows exist, and the one that has the focus.
  #keep(first, last) {
    const held = this.#root.contains(document.activeElement) ? this.#shape.row(this.#current) : -1;
    for (const number of [...this.#rows.keys()]) {
      if ((number < first || number > last) && number !== held) this.#drop(number);
    }
    for (let number = first; number <= last; number += 1) if (!this.#rows.has(number)) this.#make(number);
  }

  #make(number) {
    const { columns, total } = this.#shape;
    const row = element("div", { className: "row" });
    row.setAttribute("role", "row");
    row.setAttribute("aria-rowindex", number + 1);
    row.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
    for (let n = number * columns; n < Math.min((number + 1) * columns, total); n += 1) row.append(this.#blank(n));
    this.#rows.set(number, row);
    const after = [...this.#root.children].find((other) => Number(other.ariaRowIndex) > number + 1);
    this.#root.insertBefore(row, after ?? null);
  }

  #blank(position) {
    const tile = element("div", { className: "tile", tabIndex: position === this.#current ? 0 : -1 });
    tile.setAttribute("role", "gridcell");
    tile.setAttribute("aria-colindex", (position % this.#shape.columns) + 1);
    tile.dataset.position = position;
    this.#fill(tile);
    return tile;
  }

  // Pictures that have not come are not waited for.
  #drop(number) {
    for (const image of this.#rows.get(number).querySelectorAll("img")) image.removeAttribute("src");
    this.#rows.get(number).remove();
    this.#rows.delete(number);
  }

  #place(offsetPx) {
    for (const [number, row] of this.#rows) {
      const place = `translateY(${number * this.#shape.rowPx - offsetPx}px)`;
      if (row.style.transform !== place) row.style.transform = place;
    }
  }

  // Tab leads to a tile that is seen; the one that has the focus keeps it.
  #offer(first, last) {
    const row = this.#shape.row(this.#current);
    if (this.#root.contains(document.activeElement) || (row >= first && row <= last)) return this.#turn(this.#current);
    return this.#turn(Math.min(first * this.#shape.columns, this.#shape.total - 1));
  }

  #turn(position) {
    this.#current = position;
    for (const tile of this.#root.querySelectorAll("[tabindex='0']")) tile.tabIndex = -1;
    const tile = this.#tile(position);
    if (tile) tile.tabIndex = 0;
  }

  #tile(position) {
    return this.#rows.get(this.#shape.row(position))?.children[position % this.#shape.columns];
  }

  #fill(tile) {
    this.#told.fill(tile, Number(tile.dataset.position));
  }

  #clicked(event) {
    const tile = event.target.closest(".tile");
    if (tile) this.#told.open(Number(tile.dataset.position));
  }

  #pressed(event) {
    const { columns, total, rowPx } = this.#shape;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.#told.open(this.#current);
      return;
    }
    const page = Math.max(1, Math.floor((innerHeight - this.#coveredPx()) / rowPx));
    const to = step(event, this.#current, { columns, total, page });
    if (to === undefined) return;
    event.preventDefault();
    this.focus(to);
  }
}
