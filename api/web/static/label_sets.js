// The client's own label sets, offered beside the labels that models have: those that are ready, and
// that a running model scores.
import { accessKey } from "./access.js";
import { labelSet, labelSets, offered } from "./calls.js";
import { element } from "./element.js";
import { labelName, say } from "./words.js";

const field = document.getElementById("label-set");
const PROBLEMS = { unknown_label_set: "setDeleted", label_set_unfit: "setUnfit", unknown_model: "setUnfit",
  label_set_outdated: "setOutdated" };
let sets = []; // each with `ref`, `name` and `readers`, the models that score it
let owner = ""; // the key whose sets they are

export const chosenSet = () => sets.find((set) => set.id === field.value);

// Gives the set that was chosen, if it is not there any more.
export async function readSets() {
  const key = accessKey();
  if (key !== owner) keep([]);
  owner = key;
  if (!key) return undefined;
  const [{ models }, newest] = await Promise.all([offered(key), labelSets(key)]);
  const usable = (await Promise.all(newest.map((set) => ready(set, key)))).filter(Boolean);
  if (key !== accessKey()) return undefined;
  const before = chosenSet();
  keep(usable.map((set) => read(set, models)).filter((set) => set.readers.length));
  return chosenSet() ? undefined : before;
}

// While a newer version is built, or could not be, the one that it adds to is used.
async function ready(set, key) {
  if (set.status === "ready") return set;
  const base = set.base === null ? null : await labelSet(set.id, set.base, key).catch(() => null);
  return base?.status === "ready" ? base : null;
}

function read(set, models) {
  const { id, version, labels } = set;
  return { id, ref: `${id}@${version}`, size: labels.length, readers: readers(set, models),
    get name() { return set.name ?? labels.slice(0, 3).map(labelName).join("、"); } };
}

// Models as they are with the set's labels. Examples are read by the model that saw them, while it has
// the same weights; words by the default models that read any, else by the first that does.
function readers(set, models) {
  const classes = set.labels.length;
  if (set.model !== null) {
    const own = models.filter((model) => model.id === set.model && sameWeights(model, set));
    return own.map((model) => ({ ...model, classes, methods: set.methods }));
  }
  const open = models.filter((model) => model.open_vocabulary).map((model) => ({ ...model, classes }));
  const byDefault = open.filter((model) => model.default);
  return byDefault.length ? byDefault : open.slice(0, 1);
}

const sameWeights = (model, set) => model.weights_sha256 === null || model.weights_sha256 === set.weights_sha256;

function keep(found) {
  sets = found;
  writeSets();
}

export function forgetSet(set) {
  keep(sets.filter((each) => each.id !== set.id));
}

// Leaves the field alone where nothing has changed: it may be open.
export function writeSets() {
  const options = [["", say("ownLabels")], ...sets.map((set) => [set.id, title(set)])];
  document.getElementById("label-sets").hidden = !sets.length;
  const same = options.length === field.options.length
    && options.every(([value, text], n) => field.options[n].value === value && field.options[n].textContent === text);
  if (same) return;
  const chosen = chosenSet()?.id ?? "";
  field.replaceChildren(...options.map(([value, textContent]) => element("option", { value, textContent })));
  field.value = chosen;
}

function title({ name, size, readers }) {
  return [name, `${size} ${say("labels")}`, ...readers.map((model) => model.id)].join(" · ");
}

// What went wrong with the set, and what to do; nothing, if it is another problem.
export function setProblem(error, set) {
  const what = PROBLEMS[error.code];
  return what && `${say(what)}：${set.name}${say("setRemedy")}`;
}

// Of a job with these options, if it names a set of the client's; its id where the set is not known.
export function setName({ label_set }) {
  if (!label_set?.startsWith("lbs_")) return "";
  return sets.find((set) => label_set.startsWith(set.id))?.name ?? label_set;
}
