// The wall's shape: how many columns, how high a row, and where a row stands.
const TILE_PX = 160; // a tile is at least so wide, unless not even two fit
const GAP_PX = 12;
const TEXT_REM = 4.5; // below a thumbnail; page.css says the same
const MAX_PX = 15_000_000; // browsers place nothing below some 17 million

export class Shape {
  constructor(total, widthPx, remPx) {
    this.total = total;
    this.columns = Math.max(2, Math.floor((widthPx + GAP_PX) / (TILE_PX + GAP_PX)));
    const tilePx = (widthPx - GAP_PX * (this.columns - 1)) / this.columns;
    this.rowPx = Math.round(tilePx + TEXT_REM * remPx + GAP_PX);
    this.rows = Math.ceil(total / this.columns);
    this.wholePx = this.rows * this.rowPx;
    this.heightPx = Math.min(this.wholePx, MAX_PX);
  }

  row(position) {
    return Math.floor(position / this.columns);
  }

  // How much of the wall is above the window when the page is scrolled so far into it. They
  // differ where the wall is higher than a page can be: then one scrolls in longer steps.
  above(scrolledPx, windowPx) {
    const room = this.heightPx - windowPx;
    if (this.heightPx === this.wholePx || scrolledPx <= 0) return scrolledPx;
    if (scrolledPx >= room) return scrolledPx + this.wholePx - this.heightPx;
    return (scrolledPx * (this.wholePx - windowPx)) / room;
  }

  // How far to scroll until so much of the wall is above the window.
  scrolled(abovePx, windowPx) {
    if (this.heightPx === this.wholePx || abovePx <= 0) return abovePx;
    return (abovePx * (this.heightPx - windowPx)) / (this.wholePx - windowPx);
  }
}
