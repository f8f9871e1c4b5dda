// Calls of the front door, with the access key in the header.
export async function call(path, key, options = {}) {
  const headers = { ...options.headers, Authorization: `Bearer ${key}` };
  const answer = await fetch(path, { ...options, headers });
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  const error = new Error(problem.detail || `HTTP ${answer.status}`);
  error.code = problem.code;
  error.waitS = Number(answer.headers.get("Retry-After"));
  throw error;
}

export const json = async (path, key, options) => (await call(path, key, options)).json();

// Models, label sets and limits.
export const offered = (key) => json("/v1/models", key);

const MAPS_PER_JOB = 8; // that the front door takes
export const FEW = 24; // pictures; each of so many gets every map

// Maps that the models make: their best for the first two labels, then by other methods.
function maps(chosen) {
  const none = (model) => !model.methods.length && !model.label_free_methods.length;
  if (chosen.length && chosen.every(none)) return [];
  const second = chosen.some((model) => model.methods.length && (model.classes ?? 0) > 1);
  const others = chosen.flatMap((model) => [...model.methods, ...model.label_free_methods].slice(1));
  return [{}, ...(second ? [{ target: "top2" }] : []), ...others.map((method) => ({ method }))];
}

// `set` is one of the client's own (label_sets.js), whose readers score it; without it the default
// models score their own labels.
export async function submit(files, key, set) {
  const chosen = set?.readers ?? (await offered(key)).models.filter((model) => model.default);
  const explain = maps(chosen).slice(0, files.length > FEW ? 1 : MAPS_PER_JOB);
  const options = { faithfulness: true, artifacts: ["labels", "overlay", "thumbnail"], explain };
  if (set) Object.assign(options, { label_set: set.ref, models: chosen.map((model) => model.id) });
  const form = new FormData();
  for (const file of files) form.append("files", file);
  form.append("options", JSON.stringify(options));
  return json("/v1/jobs", key, { method: "POST", body: form });
}

// The map, of a small job of its own, that tells why the item is `label` and not `against`, an id
// or a word. `options` are those of the job that gave the label.
export async function askContrast(item, options, label, against, key) {
  const { models } = await offered(key);
  const methods = models.find((model) => model.id === label.model)?.methods ?? [];
  const { words, label_set } = options;
  const target = { label: label.id, against };
  const method = methods.includes("relevance") ? "relevance" : "auto";
  const body = JSON.stringify({ models: [label.model], words, label_set, faithfulness: false,
    artifacts: ["labels", "overlay"], explain: [{ method, target }], priority: "interactive" });
  const headers = { "Content-Type": "application/json" };
  const path = `/v1/jobs/${item.job}/items/${item.index}/explain`;
  const job = await watch(await json(path, key, { method: "POST", body, headers }), key, () => {});
  for await (const made of results(job, key)) {
    if (made.error) throw new Error(made.error.message);
    return { ...made.explanations[0], source: { job: made.job, index: made.index } };
  }
}

// Ends with the finished job; comes again while the server closes streams that are long open.
export async function watch(job, key, onProgress, signal) {
  for (;;) {
    const stream = await call(job.links.events, key, { signal });
    const reader = stream.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const events = (text + part.value).split("\n\n");
      text = events.pop();
      for (const event of events) {
        const data = event.split("\n").find((line) => line.startsWith("data: "));
        if (!data) continue;
        const seen = JSON.parse(data.slice(6));
        onProgress(seen.counts);
        if (seen.done) return seen;
      }
    }
  }
}

export async function* results(job, key) {
  let after = "";
  for (;;) {
    const page = await json(`/v1/jobs/${job.id}/results?limit=100${after}`, key);
    yield* page.items;
    if (page.done || page.next === null) return;
    after = `&after=${encodeURIComponent(page.next)}`;
  }
}

export const readJob = (id, key) => json(`/v1/jobs/${encodeURIComponent(id)}`, key);
export const readItem = ({ job, index }, key) => json(`/v1/jobs/${job}/items/${index}`, key);
export const readSlice = (job, query, key) => json(`${job.links.results}?${new URLSearchParams(query)}`, key);
export const readSummary = (job, key) => json(job.links.summary, key);
export const labelSets = async (key) => (await json("/v1/labelsets?limit=100", key)).items;
export const labelSet = (id, version, key) => json(`/v1/labelsets/${id}?version=${version}`, key);
export const recentJobs = async (key) => (await json("/v1/jobs?limit=10", key)).items;
