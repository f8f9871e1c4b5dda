// One picture of the wall: its thumbnail, what it is, and how far to trust that.
import { element } from "./element.js";
import { labelName, say } from "./words.js";

const MARKS = { faithful: "✓", weak: "≈", not_better_than_random: "✗" };

export const nameOf = (item) => item.image?.filename ?? item.custom_id ?? String(item.index);

export function tile(item) {
  const best = item.labels?.[0];
  return [picture(item),
    element("b", { textContent: best ? labelName(best) : say(item.status) }),
    element("span", { className: "facts" }, best ? `${(100 * best.score).toFixed(1)} %` : "", ...mark(item)),
    element("small", { textContent: nameOf(item) })];
}

function picture(item) {
  const url = item.artifacts?.thumbnail?.url;
  if (!url) return plain(item);
  const image = element("img", { loading: "lazy", decoding: "async", alt: nameOf(item), src: url });
  image.addEventListener("error", () => image.replaceWith(plain(item)));
  return image;
}

function plain(item) {
  return element("span", { className: "plain", textContent: item.image?.format ?? "", ariaHidden: "true" });
}

function mark(item) {
  if (item.error) return [sign("failed", "!", item.error.message)];
  const verdict = item.explanations?.find((map) => map.faithfulness)?.faithfulness.verdict;
  return verdict ? [sign(verdict, MARKS[verdict], say(verdict))] : [];
}

function sign(kind, text, meaning) {
  const made = element("span", { className: `sign ${kind}`, textContent: text, title: meaning, ariaLabel: meaning });
  made.setAttribute("role", "img");
  return made;
}
