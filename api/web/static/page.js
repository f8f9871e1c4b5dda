// Pictures go in, the bar moves, cards come out.
import { results, submit, watch } from "./calls.js";
import { card } from "./card.js";
import { say, switchLanguage, write } from "./words.js";

const at = (id) => document.getElementById(id);
let shown = []; // items and their pictures, to write them again in the other language

function progress(counts) {
  const ended = counts.total - counts.queued - counts.running;
  at("bar").value = counts.total ? ended / counts.total : 0;
  at("percent").textContent = `${Math.floor(100 * at("bar").value)} %`;
}

function paint() {
  write();
  at("cards").replaceChildren(...shown.map(([item, picture]) => card(item, picture)));
}

async function recognise(files, key) {
  const job = await watch(await submit(files, key), key, progress);
  for (const [, picture] of shown) URL.revokeObjectURL(picture);
  shown = [];
  for await (const item of results(job, key)) {
    shown.push([item, URL.createObjectURL(files[item.index])]);
  }
  paint();
}

let busy = false;
async function take(list) {
  const files = [...list];
  const key = at("key").value.trim();
  if (!files.length || busy) return;
  at("message").textContent = key ? "" : say("needKey");
  if (!key) return;
  busy = true;
  sessionStorage.setItem("key", key);
  progress({ total: 0 });
  try {
    await recognise(files, key);
  } catch (error) {
    at("message").textContent = error instanceof TypeError ? say("lost") : error.message;
  } finally {
    busy = false;
  }
}

at("key").value = sessionStorage.getItem("key") ?? "";
at("files").addEventListener("change", async () => { await take(at("files").files); at("files").value = ""; });
at("language").addEventListener("click", () => { switchLanguage(); paint(); });
document.addEventListener("paste", (event) => take(event.clipboardData.files));
document.addEventListener("dragover", (event) => { event.preventDefault(); at("drop").classList.add("over"); });
document.addEventListener("dragleave", () => at("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  at("drop").classList.remove("over");
  take(event.dataTransfer.files);
});
paint();
