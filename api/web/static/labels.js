// Labels found by what is typed: in the words of the job, or in the label set of the model.
import { accessKey } from "./access.js";
import { json, offered } from "./calls.js";
import { labelName, say } from "./words.js";

// Searches for `choice`: `label` is a label's name or id, as the front door takes it.
export function searchLabels(model, options) {
  if (options.words) return async (typed) => ofWords(options.words, typed);
  let set = options.label_set;
  return async (typed) => {
    set ??= await ownSet(model); // once, not for each letter
    if (!set) return { found: [], complete: true };
    const query = new URLSearchParams({ label_set: set, q: typed });
    const { items, complete } = await json(`/v1/labels?${query}`, accessKey());
    const found = items.map((each) => ({ text: labelName(each), hint: other(each), label: each.id }));
    return { found, complete };
  };
}

// The same, and the typed text itself as the last proposal.
export function searchAny(model, options) {
  const search = searchLabels(model, options);
  return async (typed) => {
    const { found, complete } = await search(typed).catch(() => ({ found: [], complete: true }));
    return { found: [...found, { text: typed, hint: say("freeText"), free: true }], complete };
  };
}

function ofWords(words, typed) {
  const wanted = typed.toLowerCase();
  const found = words.filter((word) => word.toLowerCase().includes(wanted))
    .map((word) => ({ text: word, label: word }));
  return { found, complete: true };
}

async function ownSet(model) {
  const { models } = await offered(accessKey());
  return models.find((each) => each.id === model)?.label_set;
}

function other(label) {
  return labelName(label) === label.zh ? label.en : label.zh;
}
