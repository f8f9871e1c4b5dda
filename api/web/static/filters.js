// The fields above the wall, and the query they stand for.
import { element } from "./element.js";
import { FILTERS } from "./address.js";

const PERCENT = ["score_from", "score_below"];
const field = (name) => document.getElementById(name);

export function onFilter(act) {
  for (const name of FILTERS) field(name).addEventListener("change", () => act(readFilters()));
}

function readFilters() {
  const given = FILTERS.map((name) => [name, field(name).value.trim()]).filter(([, value]) => value !== "");
  return Object.fromEntries(given.map(([name, value]) => [name, PERCENT.includes(name) ? String(value / 100) : value]));
}

// Shows a query; `ready` is whether the job can be filtered yet.
export function writeFilters(query, ready) {
  for (const name of FILTERS) {
    const value = query[name] ?? "";
    field(name).value = PERCENT.includes(name) && value !== "" ? 100 * value : value;
    field(name).disabled = !ready;
  }
}

// What there is to choose from: first labels, the most frequent first.
export function offerLabels(labels) {
  const options = Object.entries(labels).map(([value, count]) => element("option", { value, textContent: `${value} (${count})` }));
  field("labels").replaceChildren(...options);
}
