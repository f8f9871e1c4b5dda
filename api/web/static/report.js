// Saves a job's report, one HTML file, in the page's language.
import { accessKey } from "./access.js";
import { call } from "./calls.js";
import { element } from "./element.js";
import { languageTag, problem } from "./words.js";

const KEPT_MS = 60_000; // after which the browser has long read what it saves

// Makes `button` save the report of the job that `job()` gives; the page tells what goes wrong.
export function saves(button, job) {
  button.addEventListener("click", async () => {
    button.disabled = true;
    const message = document.getElementById("message");
    try {
      await save(job());
      message.textContent = "";
    } catch (error) {
      message.textContent = problem(error);
    } finally {
      button.disabled = false;
    }
  });
  return button;
}

async function save(job) {
  const answer = await call(`${job.links.report}?lang=${languageTag().slice(0, 2)}`, accessKey());
  const href = URL.createObjectURL(await answer.blob());
  element("a", { href, download: `${job.id}.html` }).click();
  setTimeout(() => URL.revokeObjectURL(href), KEPT_MS);
}
