// What the benchmark of the wall looks at, frame by frame, inside the page.
const frame = () => new Promise((drawn) => requestAnimationFrame(drawn));

const inWindow = () => [...document.querySelectorAll(".tile")].filter((tile) => {
  const { top, bottom } = tile.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
});
const waiting = (tile) => !tile.firstElementChild;
const loading = (image) => !image.complete;
const undrawn = (tile) => waiting(tile) || [...tile.querySelectorAll("img")].some(loading);

function drawn() {
  const tiles = inWindow();
  return tiles.length > 0 && !tiles.some(undrawn);
}

// Rows begin above the window's top and end below its bottom, but for the space between two.
function covered(tiles) {
  const boxes = tiles.map((tile) => tile.getBoundingClientRect());
  const space = 20;
  return boxes.some((box) => box.top <= space) && boxes.some((box) => box.bottom >= innerHeight - space);
}

globalThis.wallBench = {
  // Milliseconds from the navigation to the first tile with its picture, and to all in the window.
  async painted() {
    const found = {};
    while (!found.all) {
      await frame();
      if (inWindow().some((tile) => !undrawn(tile))) found.first ??= performance.now();
      if (drawn()) found.all = performance.now();
    }
    return found;
  },

  // A jump to a share of the page: when all was drawn, and what was not after `settledMs`.
  async jumped([share, settledMs]) {
    const from = performance.now();
    scrollTo(0, share * document.documentElement.scrollHeight);
    let drawnMs = null;
    await frame();
    while (performance.now() - from < settledMs) {
      await frame();
      if (drawn()) drawnMs ??= performance.now() - from;
    }
    return { drawnMs, tiles: inWindow().length, blank: inWindow().filter(undrawn).length };
  },

  // A steady scroll from the grid's top.
  async scrolled([seconds, pxPerS]) {
    scrollTo(0, document.getElementById("grid").getBoundingClientRect().top + scrollY);
    await frame();
    const start = scrollY, from = performance.now();
    const seen = { frames: [], missing: 0, tiles: 0, waiting: 0 };
    for (let last = from; last - from < 1000 * seconds;) {
      scrollTo(0, start + (pxPerS * (last - from)) / 1000);
      for (let n = 0; n < 2; n += 1) { // the page draws in the first
        await frame();
        seen.frames.push(performance.now() - last);
        last = performance.now();
      }
      const tiles = inWindow();
      seen.missing += covered(tiles) ? 0 : 1;
      seen.tiles += tiles.length;
      seen.waiting += tiles.filter(waiting).length;
    }
    return seen;
  },

  // Milliseconds from the choice of an order to a window full of it.
  async sorted() {
    const order = document.getElementById("sort"), from = performance.now();
    order.value = "margin";
    order.dispatchEvent(new Event("change"));
    do await frame(); while (!drawn());
    return performance.now() - from;
  },
};
