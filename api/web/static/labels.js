// Labels found by what is typed: in the words of the job, or in the label set of the model.
import { accessKey } from "./access.js";
import { json, offered } from "./calls.js";
import { labelName, say } from "./words.js";

// Proposals for `choice`: `label` is a label's name or id, as the front door takes it.
export function searchLabels(model, options) {
  if (options.words) return async (typed) => ofWords(options.words, typed);
  let set = options.label_set;
  return async (typed) => {
    set ??= await ownSet(model); // once, not for each letter
    if (!set) return [];
    const query = new URLSearchParams({ label_set: set, q: typed });
    const { items } = await json(`/v1/labels?${query}`, accessKey());
    return items.map((each) => ({ text: labelName(each), hint: other(each), label: each.id }));
  };
}

// The same, and the typed text itself as the last proposal.
export function searchAny(model, options) {
  const search = searchLabels(model, options);
  return async (typed) => {
    const found = await search(typed).catch(() => []);
    return [...found, { text: typed, hint: say("freeText"), free: true }];
  };
}

function ofWords(words, typed) {
  const wanted = typed.toLowerCase();
  return words.filter((word) => word.toLowerCase().includes(wanted))
    .map((word) => ({ text: word, label: word }));
}

async function ownSet(model) {
  const { models } = await offered(accessKey());
  return models.find((each) => each.id === model)?.label_set;
}

function other(label) {
  return labelName(label) === label.zh ? label.en : label.zh;
}
