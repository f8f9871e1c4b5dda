// The key's last jobs, each a link to its wall.
import { addressOf } from "./address.js";
import { accessKey } from "./access.js";
import { recentJobs } from "./calls.js";
import { element } from "./element.js";
import { saves } from "./report.js";
import { say, when } from "./words.js";

const list = document.getElementById("recent-list");
let known = [];

export async function readRecent() {
  known = [];
  writeRecent();
  known = accessKey() ? await recentJobs(accessKey()) : [];
  writeRecent();
}

export function writeRecent() {
  document.getElementById("recent").hidden = !known.length;
  list.replaceChildren(...known.map((job) => element("li", {},
    element("a", { href: addressOf(job.id), textContent: when(job.created_at) }),
    ` ${job.counts.total} ${say("pictures")} · ${say(job.status)} `,
    ...(job.done ? [saves(element("button", { type: "button", textContent: say("report") }), () => job)] : []))));
}
