// The maps of one picture: one is shown at a time, buttons switch between them.
import { accessKey } from "./access.js";
import { readItem } from "./calls.js";
import { facts, measured } from "./details.js";
import { element } from "./element.js";
import { labelName, say } from "./words.js";

// Lays the first map over the frame's picture. `parts` are the controls and words that belong
// below; `shown` gives the map that is looked at, `add` shows one more.
export function explanations(item, frame) {
  const view = new View(item, frame);
  return { parts: [view.group, view.rest], shown: () => view.maps[view.chosen], add: (map) => view.add(map) };
}

class View {
  constructor(item, frame) {
    Object.assign(this, { item, frame, maps: [], chosen: -1 });
    this.heat = element("img", { className: "overlay" });
    this.heat.addEventListener("error", () => this.renew());
    this.words = element("div", { className: "map" });
    this.group = element("div", { className: "maps", role: "group", ariaLabel: say("heatmap"), hidden: true });
    this.rest = element("div", { hidden: true }, sliders(this.heat), this.words);
    (item.explanations ?? []).filter(link).forEach((map) => this.append(map));
    if (this.maps.length) this.show(0);
  }

  append(map) {
    const n = this.maps.push(map) - 1;
    const button = element("button", { type: "button", textContent: title(map, this.item) });
    button.addEventListener("click", () => this.show(n));
    this.group.append(button);
  }

  // The item keeps it, for the time when it is written again.
  add(map) {
    this.item.explanations.push(map);
    this.append(map);
    this.show(this.maps.length - 1);
  }

  show(chosen) {
    this.chosen = chosen;
    const map = this.maps[chosen];
    this.heat.src = link(map);
    this.heat.alt = `${say("heatmap")}：${title(map, this.item)}`;
    this.words.replaceChildren(...about(map, this.words.querySelector("details")?.open));
    [...this.group.children].forEach((button, n) => { button.ariaPressed = String(n === chosen); });
    if (!this.heat.isConnected) this.frame.append(this.heat);
    this.group.hidden = this.rest.hidden = false;
  }

  // Links work for a while only: asks once for a fresh one.
  async renew() {
    const map = this.maps[this.chosen];
    if (map.renewed) return;
    map.renewed = true;
    const fresh = await readItem(map.source ?? this.item, accessKey()).catch(() => null);
    const same = fresh?.explanations.find((each) => each.artifacts.overlay?.key === map.artifacts.overlay.key);
    if (!same) return;
    map.artifacts = same.artifacts;
    if (map === this.maps[this.chosen]) this.heat.src = link(map);
  }
}

const link = (map) => map.artifacts?.overlay?.url;

function title(map, item) {
  return `${subject(map, item)} · ${say(map.method)}`;
}

function subject(map, item) {
  const { label, id, against, against_id, text } = map.target ?? {};
  if (text) return text;
  if (label === undefined) return say("free");
  const name = nameOf(id, label, map, item);
  return against ? `${name} ${say("against")} ${nameOf(against_id, against, map, item)}` : name;
}

// In the page's language, where the item has the label.
function nameOf(id, name, map, item) {
  const known = item.labels?.find((each) => each.id === id && each.model === map.model);
  return known ? labelName(known) : name;
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
