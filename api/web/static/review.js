// People say whether an item's label and map are right, see what was said, and take it back.
import { choice } from "./choice.js";
import { element } from "./element.js";
import { judge, judgements, onNews, retract } from "./judgements.js";
import { searchAny } from "./labels.js";
import { askRegion, outline } from "./region.js";
import { labelName, problem, say, when } from "./words.js";

// The panel below a card. `options` are the job's; `shownMap` gives the map that is being looked at.
export function review(item, frame, options, shownMap) {
  return new Review(item, frame, options, shownMap).panel;
}

class Review {
  constructor(item, frame, options, shownMap) {
    Object.assign(this, { item, frame, options, shownMap, busy: false });
    this.asking = []; // what is open, to ask for a label or a box
    this.told = element("p", { className: "told", role: "status" });
    this.marks = element("ul", { className: "marks" });
    this.buttons = [
      this.button("right", () => this.say({ kind: "right" })),
      this.button("wrong_label", () => this.askLabel()),
      this.button("wrong_region", (event) => this.askRegion(event)),
    ];
    const group = element("div", { className: "judge", role: "group", ariaLabel: say("review") }, ...this.buttons);
    this.panel = element("div", { className: "review" }, group, this.told, this.marks);
    this.refresh();
    onNews(item, this.panel, () => this.refresh());
  }

  button(kind, onClick) {
    const made = element("button", { type: "button", className: kind, textContent: say(`mark_${kind}`) });
    made.addEventListener("click", onClick);
    return made;
  }

  askLabel() {
    this.close();
    const search = searchAny(this.item.labels[0].model, this.options);
    const form = choice(say("correct"), search, ({ label, text, free = false }) => {
      this.close();
      this.buttons[1].focus();
      this.say({ kind: "wrong_label", correct: String(label ?? text), free });
    });
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.defaultPrevented) return;
      event.preventDefault();
      this.close();
      this.buttons[1].focus();
    });
    this.asking = [form];
    this.told.before(form);
    form.querySelector("input").focus();
  }

  // Right below the picture, so that both are seen on a phone.
  askRegion(event) {
    this.close();
    const judged = this.judgedMap();
    const [form, sheet] = askRegion(this.item.image,
      (box) => this.say({ kind: "wrong_region", box_px: box, ...judged }),
      () => { this.close(); this.buttons[2].focus(); });
    this.asking = [form, sheet];
    this.frame.append(sheet);
    this.frame.after(form);
    if (!event.detail) form.querySelector("input").focus({ preventScroll: true }); // not touched: keys
    form.scrollIntoView({ block: "nearest" });
    this.frame.scrollIntoView({ block: "nearest" });
  }

  close() {
    this.asking.splice(0).forEach((part) => part.remove());
  }

  // The label whose map is shown; nothing where it is none of the item's, which means the first.
  judgedMap() {
    const { model, target } = this.shownMap() ?? {};
    const label = this.item.labels.find((each) => each.model === model && each.id === target?.id);
    return label ? { model, label: label.id } : {};
  }

  say(said) { return this.change(() => judge(this.item, said)); }

  // One change at a time, so that a double click is one.
  async change(make) {
    if (this.busy) return;
    this.busy = true;
    this.told.textContent = "";
    try {
      await make();
      await this.refresh();
    } catch (error) {
      this.told.textContent = problem(error);
    }
    this.busy = false;
  }

  async refresh() {
    const given = await judgements(this.item).catch(() => []);
    const seen = given.map((each) => each.id).join();
    if (seen === this.seen) return; // what is written again loses the focus
    this.seen = seen;
    this.marks.replaceChildren(...given.map((each) => this.mark(each)));
    this.buttons[0].disabled = given.some((each) => each.kind === "right");
    this.frame.querySelectorAll(":scope > .box").forEach((box) => box.remove());
    this.frame.append(...given.filter((each) => each.box_px).map((each) => outline(each.box_px, this.item.image)));
  }

  mark(given) {
    const undo = element("button", { type: "button", textContent: say("undo"), ariaLabel: `${say("undo")}：${said(given)}` });
    undo.addEventListener("click", () => this.change(() => retract(given)));
    const by = given.by ?? given.key ?? say("nobody");
    const at = element("time", { dateTime: given.created_at, textContent: when(given.created_at) });
    return element("li", {}, element("span", { textContent: `${said(given)} · ${by} · ` }, at), undo);
  }
}

function said(given) {
  const name = `${say(given.kind)}：${labelName(given.label)}`;
  if (given.kind === "wrong_label") return `${name} → ${labelName(given.correct)}`;
  return given.kind === "wrong_region" ? `${name} → [${given.box_px.join(", ")}]` : name;
}
