// A job's pictures as a wall of thumbnails: filtered, sorted, opened one by one.
import { accessKey, keepKey } from "./access.js";
import { addressOf, readAddress } from "./address.js";
import { readItem, readJob, readSlice, readSummary, watch } from "./calls.js";
import { card } from "./card.js";
import { element } from "./element.js";
import { offerLabels, onFilter, writeFilters } from "./filters.js";
import { Grid } from "./grid.js";
import { saves } from "./report.js";
import { Slices } from "./slices.js";
import { tile } from "./tile.js";
import { Viewer } from "./viewer.js";
import { say } from "./words.js";

const PLAIN = new URL("plain.svg", import.meta.url).href; // for pictures that there is no image of
const at = (id) => document.getElementById(id);
let shown = null; // the job, its slices, how many fit, and what ends its being watched
let tell = () => {};

const viewer = new Viewer(at("viewer"), {
  item: (position) => shown.slices.item(position),
  total: () => shown.total,
  card: (item) => sharpened(card(item, item.artifacts?.thumbnail?.url ?? PLAIN, shown.job.options), item),
  left: (position) => shown && grid.focus(position),
});
const grid = new Grid(at("grid"), at("filters"), {
  fill,
  open: (position) => viewer.show(position),
  near: (first, last) => shown.slices.want(first, last),
});

// Shows the wall that the page's address names; `report` is told of errors.
export async function startWall(report) {
  tell = report;
  saves(at("report"), () => shown.job);
  onFilter((query) => { history.replaceState(null, "", addressOf(readAddress().job, query)); openWall({ typed: true }); });
  addEventListener("hashchange", () => openWall());
  await openWall();
}

export function writeWall() {
  if (!shown?.job) return;
  for (const cell of at("grid").querySelectorAll(".tile")) delete cell.dataset.seen;
  grid.refill();
  count();
  viewer.again();
}

// `typed`: the address comes from the filters' fields, where somebody may be typing still.
export async function openWall({ typed = false } = {}) {
  const { job, query } = readAddress();
  leave();
  document.body.classList.toggle("walled", job !== null);
  if (job === null) return;
  if (!accessKey()) {
    tell(new Error(say("needKey")));
    return;
  }
  keepKey();
  tell();
  const mine = { typed, ended: new AbortController(), total: 0 };
  shown = mine;
  try {
    await show(mine, await readJob(job, accessKey()), query);
  } catch (error) {
    if (shown === mine) tell(error);
  }
}

// The card shows its thumbnail until the picture itself has come, where it is kept.
function sharpened(made, item) {
  sharpen(made.querySelector(".picture img"), item).catch(() => {});
  return made;
}

async function sharpen(image, item) {
  const { input } = await readItem(item, accessKey());
  if (!input) return;
  const whole = element("img", { src: input.url });
  await whole.decode();
  image.src = whole.src;
}

function leave() {
  shown?.ended.abort();
  shown = null;
  grid.show(0);
  viewer.close();
  at("matched").textContent = "";
  at("report").hidden = true;
}

async function show(mine, job, query) {
  if (shown !== mine) return;
  const asked = job.done ? query : {};
  mine.job = job;
  mine.whole = Object.keys(asked).length === 0;
  mine.slices = new Slices((page) => readSlice(job, { ...asked, ...page }, accessKey()), (error) => hear(mine, error));
  if (!mine.typed) writeFilters(query, job.done);
  if (!mine.whole) await mine.slices.item(0);
  if (shown !== mine) return;
  mine.total = mine.whole ? job.counts.total : mine.slices.matched;
  grid.show(mine.total);
  count();
  await (job.done ? offer(mine) : follow(mine, query));
}

function hear(mine, error) {
  if (shown !== mine) return;
  if (error || mine.failed) tell(error);
  mine.failed = Boolean(error);
  if (mine.total) grid.refill();
}

function fill(cell, position) {
  const item = shown.slices.at(position);
  if (!item || cell.dataset.seen === item.status) return;
  cell.dataset.seen = item.status;
  cell.replaceChildren(...tile(item));
}

function count() {
  const { counts, done } = shown.job;
  at("report").hidden = !done;
  const ended = counts.total - counts.queued - counts.running;
  const some = done ? shown.total : ended;
  const part = shown.whole && done ? counts.total : `${some} / ${counts.total}`;
  at("matched").textContent = `${part} ${say("pictures")}${done ? "" : ` · ${say("unfinished")}`}`;
}

// A job that ended without a summary has no labels to choose from.
async function offer(mine) {
  const { labels } = await readSummary(mine.job, accessKey()).catch(() => ({ labels: {} }));
  if (shown === mine) offerLabels(labels);
}

// Shows a job's pictures as they are finished.
async function follow(mine, query) {
  const done = await watch(mine.job, accessKey(), (counts) => progress(mine, counts), mine.ended.signal);
  if (shown !== mine) return;
  mine.job = done;
  if (Object.keys(query).length) return openWall();
  progress(mine, done.counts);
  writeFilters({}, true);
  await offer(mine);
}

function progress(mine, counts) {
  if (shown !== mine) return;
  mine.job = { ...mine.job, counts };
  if (counts.total !== mine.total) {
    mine.total = counts.total;
    grid.resize(mine.total);
  }
  mine.slices.renew();
  count();
}
