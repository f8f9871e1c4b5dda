// One picture with what was seen in it, and what people say of it.
import { contrast } from "./contrast.js";
import { facts, measured } from "./details.js";
import { element } from "./element.js";
import { explanations } from "./explanations.js";
import { setName } from "./label_sets.js";
import { review } from "./review.js";
import { labelName, say } from "./words.js";

// `item` is as results have it, `picture` a link to it or to a thumbnail, `options` are those of the
// item's job.
export function card(item, picture, options) {
  const name = item.image?.filename ?? String(item.index);
  const best = item.labels?.[0];
  const frame = element("div", { className: "picture" }, element("img", { src: picture, alt: name }));
  const maps = explanations(item, frame);
  return element("article", {}, frame,
    element("h2", { textContent: best ? `${say("result")}：${labelName(best)}` : say("failed") }),
    element("p", { textContent: item.error ? `${name}: ${item.error.message}` : name }),
    ...(setName(options) ? [element("p", { textContent: `${say("labelSet")}：${setName(options)}` })] : []),
    ...(item.labels ?? []).map(score),
    ...maps.parts,
    ...(best ? [contrast(item, options, maps.add), review(item, frame, options, maps.shown)] : []),
    facts("timings", measured(item.timing_ms ?? {}, "ms")));
}

function score(label) {
  const percent = `${(100 * label.score).toFixed(1)} %`;
  const bar = element("meter", { max: 1, value: label.score, ariaLabel: `${say("score")} ${percent}` });
  return element("div", { className: "score" },
    element("span", { textContent: labelName(label) }), bar, element("span", { textContent: percent }));
}
