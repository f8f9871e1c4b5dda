// Numbers that are folded away until someone asks for them.
import { element } from "./element.js";
import { say } from "./words.js";

// Names and numbers, in words; whatever is no number is left out.
export function measured(values, unit = "") {
  return Object.entries(values)
    .filter(([, value]) => typeof value === "number")
    .map(([name, value]) => [say(name), `${value.toFixed(unit ? 1 : 2)} ${unit}`.trim()]);
}

export function facts(title, rows) {
  const list = element("dl", {}, ...rows.flatMap(([name, value]) =>
    [element("dt", { textContent: name }), element("dd", { textContent: value })]));
  return element("details", { className: title }, element("summary", { textContent: say(title) }), list);
}
