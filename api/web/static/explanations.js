// The maps of one picture: one is shown at a time, buttons switch between them.
import { facts, measured } from "./details.js";
import { element } from "./element.js";
import { labelName, say } from "./words.js";

// Lays the first map over the frame's picture; gives the controls and words that belong below.
export function explanations(item, frame) {
  const maps = (item.explanations ?? []).filter((map) => map.artifacts?.overlay?.url);
  if (!maps.length) return [];
  const heat = element("img", { className: "overlay" });
  const words = element("div", { className: "map" });
  const buttons = maps.map((map) => element("button", { type: "button", textContent: title(map, item) }));
  const show = (chosen) => {
    heat.src = maps[chosen].artifacts.overlay.url;
    heat.alt = `${say("heatmap")}：${title(maps[chosen], item)}`;
    words.replaceChildren(...about(maps[chosen], words.querySelector("details")?.open));
    buttons.forEach((button, n) => { button.ariaPressed = String(n === chosen); });
  };
  buttons.forEach((button, n) => button.addEventListener("click", () => show(n)));
  frame.append(heat);
  show(0);
  const group = element("div", { className: "maps", role: "group", ariaLabel: say("heatmap") }, ...buttons);
  return [group, sliders(heat), words];
}

function title(map, item) {
  return `${subject(map, item)} · ${say(map.method)}`;
}

function subject(map, item) {
  const { label, id, against, text } = map.target ?? {};
  if (text) return text;
  if (label === undefined) return say("free");
  const known = item.labels?.find((each) => each.id === id && each.model === map.model);
  const name = known ? labelName(known) : label;
  return against ? `${name} ${say("against")} ${against}` : name;
}

function about(map, open = false) {
  const words = map.faithfulness ? ` · ${say(map.faithfulness.verdict)}` : "";
  const numbers = facts("diagnostics", measured({ ...faithfulness(map), ...map.diagnostics }));
  numbers.open = open;
  return [element("p", { textContent: `${map.model} · ${say(map.method)}${words}` }), numbers];
}

function faithfulness(map) {
  if (!map.faithfulness) return {};
  return { faithfulness: map.faithfulness.score, centre: map.faithfulness.centre };
}

function sliders(heat) {
  return element("div", { className: "sliders" },
    slider("opacity", 100, (value) => { heat.style.opacity = value / 100; }),
    slider("wipe", 0, (value) => { heat.style.clipPath = `inset(0 0 0 ${value}%)`; }));
}

function slider(word, value, onMove) {
  const input = element("input", { type: "range", min: 0, max: 100, value, className: word });
  input.addEventListener("input", () => onMove(input.value));
  return element("label", { textContent: say(word) }, input);
}
