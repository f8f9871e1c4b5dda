// One picture with what was seen in it.
import { facts, measured } from "./details.js";
import { element } from "./element.js";
import { explanations } from "./explanations.js";
import { labelName, say } from "./words.js";

export function card(item, picture) {
  const name = item.image?.filename ?? String(item.index);
  const best = item.labels?.[0];
  const frame = element("div", { className: "picture" }, element("img", { src: picture, alt: name }));
  return element("article", {}, frame,
    element("h2", { textContent: best ? `${say("result")}：${labelName(best)}` : say("failed") }),
    element("p", { textContent: item.error ? `${name}: ${item.error.message}` : name }),
    ...(item.labels ?? []).map(score),
    ...explanations(item, frame),
    facts("timings", measured(item.timing_ms ?? {}, "ms")));
}

function score(label) {
  const percent = `${(100 * label.score).toFixed(1)} %`;
  const bar = element("meter", { max: 1, value: label.score, ariaLabel: `${say("score")} ${percent}` });
  return element("div", { className: "score" },
    element("span", { textContent: labelName(label) }), bar, element("span", { textContent: percent }));
}
