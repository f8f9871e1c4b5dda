// Asks the model once more: why this label, and not another.
import { accessKey } from "./access.js";
import { askContrast } from "./calls.js";
import { choice } from "./choice.js";
import { element } from "./element.js";
import { searchLabels } from "./labels.js";
import { labelName, problem, say } from "./words.js";

// Buttons for the item's other labels, and a field for any; `onMap` gets the map when it is made.
export function contrast(item, options, onMap) {
  const [first, ...others] = item.labels.filter((label) => label.model === item.labels[0].model);
  const told = element("p", { className: "told", role: "status" });
  let busy = false;
  const ask = async (against, name) => {
    if (busy) return;
    busy = true;
    told.textContent = `${say("asking")}：${say("whyNot")}${name}`;
    try {
      onMap(await askContrast(item, options, first, against, accessKey()));
      told.textContent = "";
    } catch (error) {
      told.textContent = problem(error);
    }
    busy = false;
  };
  const buttons = others.map((label) => {
    const made = element("button", { type: "button", textContent: say("whyNot") + labelName(label) });
    made.addEventListener("click", () => ask(label.id, labelName(label)));
    return made;
  });
  const any = choice(say("whyNotAny"), searchLabels(first.model, options), ({ label, text }) => ask(label, text));
  return element("details", { className: "contrast" },
    element("summary", { textContent: say("contrast") }),
    element("div", { className: "against", role: "group", ariaLabel: say("contrast") }, ...buttons), any, told);
}
