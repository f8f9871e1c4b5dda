// What people have said of the items of a job, kept up to date by what is said here, and by a look
// now and then at what others say.
import { accessKey } from "./access.js";
import { call, json } from "./calls.js";
import { signature } from "./signature.js";

const NEWS_MS = 10_000;
const jobs = new Map(); // id -> promise of its judgements, the oldest first
const unsent = new Map(); // what could not be sent -> its Idempotency-Key, so that it is kept once
const panels = new Map(); // that show judgements -> their job, and what to do when it is read anew
let changes = 0; // that are made here
let looking = false;

function ofJob(job) {
  if (!jobs.has(job)) {
    const read = json(`/v1/jobs/${job}/feedback`, accessKey()).then(({ items }) => items);
    read.catch(() => jobs.delete(job));
    jobs.set(job, read);
  }
  return jobs.get(job);
}

// Reads the item's judgements again and again while `panel` is on the page, and tells `act`.
export function onNews(item, panel, act) {
  panels.set(panel, { job: item.job, act });
  if (!looking) setTimeout(readNews, NEWS_MS);
  looking = true;
}

async function readNews() {
  for (const panel of panels.keys()) if (!panel.isConnected) panels.delete(panel);
  if (!document.hidden) {
    const shown = [...panels.values()];
    await Promise.all([...new Set(shown.map(({ job }) => job))].map(renew));
    shown.forEach(({ act }) => act());
  }
  looking = panels.size > 0;
  if (looking) setTimeout(readNews, NEWS_MS);
}

// Keeps what is known where the front door does not answer, or something was said meanwhile.
async function renew(job) {
  const before = changes;
  const items = await json(`/v1/jobs/${job}/feedback`, accessKey()).then((found) => found.items, () => null);
  if (items && changes === before) jobs.set(job, Promise.resolve(items));
}

export async function judgements(item) {
  return (await ofJob(item.job)).filter((given) => given.index === item.index);
}

// Not randomUUID, which browsers keep from pages that come by plain HTTP.
const newKey = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

export async function judge(item, said) {
  const path = `/v1/jobs/${item.job}/items/${item.index}/feedback`;
  const body = JSON.stringify({ ...said, by: signature() });
  const once = unsent.get(path + body) ?? newKey();
  unsent.set(path + body, once);
  const headers = { "Content-Type": "application/json", "Idempotency-Key": once };
  changes += 1;
  const given = await json(path, accessKey(), { method: "POST", body, headers });
  changes += 1;
  unsent.delete(path + body);
  (await ofJob(item.job)).push(given);
}

export async function retract(given) {
  changes += 1;
  await call(`/v1/feedback/${given.id}`, accessKey(), { method: "DELETE" });
  changes += 1;
  const known = await ofJob(given.job);
  known.splice(known.findIndex((each) => each.id === given.id), 1);
}
