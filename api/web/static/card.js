// One picture with what was seen in it. Texts come from files and models: only as textContent.
import { labelName, say } from "./words.js";

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function card(item, picture) {
  const name = item.image?.filename ?? String(item.index);
  const best = item.labels?.[0];
  const made = element("article", {}, painted(item, picture, name));
  made.append(element("h2", { textContent: best ? `${say("result")}：${labelName(best)}` : say("failed") }));
  made.append(element("p", { textContent: item.error ? `${name}: ${item.error.message}` : name }));
  for (const label of item.labels ?? []) made.append(score(label));
  for (const map of item.explanations ?? []) made.append(verdict(map));
  return made;
}

function painted(item, picture, name) {
  const frame = element("div", { className: "picture" }, element("img", { src: picture, alt: name }));
  const map = item.explanations?.find((each) => each.artifacts?.overlay?.url);
  if (!map) return frame;
  const heat = element("img", { className: "overlay", alt: "", src: map.artifacts.overlay.url });
  frame.append(heat);
  return element("div", {}, frame, element("div", { className: "sliders" },
    slider("opacity", 100, (value) => { heat.style.opacity = value / 100; }),
    slider("wipe", 0, (value) => { heat.style.clipPath = `inset(0 0 0 ${value}%)`; })));
}

function slider(word, value, onMove) {
  const input = element("input", { type: "range", min: 0, max: 100, value, className: word });
  input.addEventListener("input", () => onMove(input.value));
  return element("label", { textContent: say(word) }, input);
}

function score(label) {
  const percent = `${(100 * label.score).toFixed(1)} %`;
  const bar = element("meter", { max: 1, value: label.score, ariaLabel: `${say("score")} ${percent}` });
  return element("div", { className: "score" },
    element("span", { textContent: labelName(label) }), bar, element("span", { textContent: percent }));
}

function verdict(map) {
  const words = map.faithfulness ? ` · ${say(map.faithfulness.verdict)}` : "";
  return element("p", { textContent: `${say("method")} ${map.model} ${map.method}${words}` });
}
