// What people have said of the items of a job: read once, and kept up to date by what is said here.
import { accessKey } from "./access.js";
import { call, json } from "./calls.js";
import { signature } from "./signature.js";

const jobs = new Map(); // id -> promise of its judgements, the oldest first
const unsent = new Map(); // what could not be sent -> its Idempotency-Key, so that it is kept once

function ofJob(job) {
  if (!jobs.has(job)) {
    const read = json(`/v1/jobs/${job}/feedback`, accessKey()).then(({ items }) => items);
    read.catch(() => jobs.delete(job));
    jobs.set(job, read);
  }
  return jobs.get(job);
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
  const given = await json(path, accessKey(), { method: "POST", body, headers });
  unsent.delete(path + body);
  (await ofJob(item.job)).push(given);
}

export async function retract(given) {
  await call(`/v1/feedback/${given.id}`, accessKey(), { method: "DELETE" });
  const known = await ofJob(given.job);
  known.splice(known.findIndex((each) => each.id === given.id), 1);
}
