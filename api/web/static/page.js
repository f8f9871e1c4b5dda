// Pictures go in, the bar moves, cards come out.
import { accessKey, keepKey, onNewKey } from "./access.js";
import { addressOf } from "./address.js";
import { FEW, offered, results, submit, watch } from "./calls.js";
import { card } from "./card.js";
import { batches, dropped, sorted } from "./folder.js";
import { chosenSet, forgetSet, readSets, setProblem, writeSets } from "./label_sets.js";
import { readRecent, writeRecent } from "./recent.js";
import { openWall, startWall, writeWall } from "./wall.js";
import { problem, say, switchLanguage, write } from "./words.js";

const at = (id) => document.getElementById(id);
let shown = []; // what cards were made of, to write them again in the other language

function progress(counts) {
  const ended = counts.total - counts.queued - counts.running;
  at("bar").value = counts.total ? ended / counts.total : 0;
  at("percent").textContent = `${Math.floor(100 * at("bar").value)} %`;
}

function paint() {
  write();
  writeRecent();
  writeSets();
  writeWall();
  at("cards").replaceChildren(...shown.map((made) => card(...made)));
}

// Few pictures get cards, those of earlier jobs stay below; many become a wall, which opens
// unless more are to come or another is being looked at.
async function recognise(files, set, key) {
  const job = await watch(await submit(files, key, set), key, progress);
  if (files.length > FEW) {
    if (!waiting.length && !location.hash) location.hash = addressOf(job.id);
    return;
  }
  const fresh = [];
  for await (const item of results(job, key)) {
    fresh.push([item, URL.createObjectURL(files[item.index]), job.options]);
  }
  shown = [...fresh, ...shown];
  at("cards").prepend(...fresh.map((made) => card(...made)));
}

const waiting = []; // pictures that came while a job was running, with the label set chosen at each drop
let busy = false;

async function take(list) {
  const { pictures, others } = sorted([...list]);
  tellOthers(others);
  if (!pictures.length) return;
  if (!accessKey()) {
    at("message").textContent = say("needKey");
    return;
  }
  waiting.push({ pictures, set: chosenSet() });
  if (location.hash) location.hash = "";
  tellWaiting();
  if (busy) return;
  busy = true;
  while (waiting.length) await run(waiting.shift());
  busy = false;
}

async function run({ pictures, set }) {
  const key = accessKey();
  keepKey();
  tellWaiting();
  progress({ total: 0 });
  try {
    const [now, ...later] = batches(pictures, (await offered(key)).limits);
    waiting.unshift(...later.map((each) => ({ pictures: each, set })));
    tellWaiting();
    await recognise(now, set, key);
    tellWaiting();
    readRecent().catch(report);
  } catch (error) {
    const ofSet = set && setProblem(error, set);
    if (ofSet) forgetSet(set);
    at("message").textContent = [ofSet || problem(error), ...leave()].join(" ");
  }
}

const NAMED = 5; // files that are no pictures; of more there is the number

function tellOthers(files) {
  const names = files.slice(0, NAMED).map((file) => file.webkitRelativePath || file.name);
  const more = files.length > NAMED ? ` … (${files.length})` : "";
  at("others").textContent = files.length ? `${say("othersLeft")}：${names.join("、")}${more}` : "";
}

// What went wrong on the way to the wall; nothing, if it goes on.
function report(error) {
  at("message").textContent = error ? problem(error) : "";
}

async function enter() {
  if (!accessKey()) return;
  await Promise.all([openWall(), readRecent().catch(report), lookAtSets()]);
}

// One that was chosen and is no more is told of, not left out in silence.
async function lookAtSets() {
  const lost = await readSets().catch(report);
  if (lost) at("message").textContent = `${say("setLost")}：${lost.name}`;
}

const countWaiting = (entries) => entries.flatMap(({ pictures }) => pictures).length;

function tellWaiting() {
  const pictures = countWaiting(waiting);
  at("message").textContent = pictures ? `${say("waiting")}：${pictures}` : "";
}

// Forgets what waits, as it would meet the same problem, and says so.
function leave() {
  const pictures = countWaiting(waiting.splice(0));
  return pictures ? [`${say("left")}：${pictures}`] : [];
}

onNewKey(enter);
for (const id of ["files", "folder"]) {
  at(id).addEventListener("change", () => { take(at(id).files); at(id).value = ""; });
}
at("language").addEventListener("click", () => { switchLanguage(); paint(); });
document.addEventListener("paste", (event) => take(event.clipboardData.files));
document.addEventListener("dragover", (event) => { event.preventDefault(); at("drop").classList.add("over"); });
document.addEventListener("dragleave", () => at("drop").classList.remove("over"));
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  at("drop").classList.remove("over");
  take(await dropped(event.dataTransfer));
});
paint();
startWall(report);
window.addEventListener("focus", lookAtSets); // one may have been made or deleted elsewhere
lookAtSets();
if (accessKey()) readRecent().catch(report);
