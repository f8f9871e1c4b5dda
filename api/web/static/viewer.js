// One picture of the wall at a time, on a card; arrow keys lead to its neighbours.
import { element } from "./element.js";
import { say } from "./words.js";

const STEPS = { ArrowLeft: -1, ArrowRight: 1 };

export class Viewer {
  #dialog;
  #list;
  #position = 0;
  #body = element("div");
  #place = element("p", { role: "status" });
  #buttons;

  // `list` has `item(position)` to come, `total()`, `card(item)`, and `left(position)`, which hears
  // where the viewer was when it closed.
  constructor(dialog, list) {
    this.#dialog = dialog;
    this.#list = list;
    this.#buttons = [this.#button("previous", () => this.#step(-1)), this.#button("next", () => this.#step(1)),
      this.#button("close", () => dialog.close())];
    dialog.append(element("div", { className: "steps" }, this.#place, ...this.#buttons), this.#body);
    dialog.addEventListener("keydown", (event) => this.#pressed(event));
    dialog.addEventListener("close", () => list.left(this.#position));
  }

  async show(position) {
    this.#position = position;
    this.#say();
    if (!this.#dialog.open) this.#dialog.showModal();
    const item = await this.#list.item(position);
    if (position !== this.#position || !this.#dialog.open) return;
    this.#body.replaceChildren(...(item ? [this.#list.card(item)] : []));
  }

  // In the page's other language, too.
  again() {
    if (this.#dialog.open) this.show(this.#position);
  }

  close() {
    this.#dialog.close();
  }

  #say() {
    const last = this.#list.total() - 1;
    this.#dialog.ariaLabel = say("picture");
    this.#place.textContent = `${this.#position + 1} / ${last + 1}`;
    for (const button of this.#buttons) button.textContent = say(button.name);
    this.#buttons[0].disabled = this.#position === 0;
    this.#buttons[1].disabled = this.#position === last;
  }

  #button(name, act) {
    const button = element("button", { type: "button", name });
    button.addEventListener("click", act);
    return button;
  }

  #step(by) {
    const position = this.#position + by;
    if (position >= 0 && position < this.#list.total()) this.show(position);
  }

  // Sliders and fields need their arrows themselves.
  #pressed(event) {
    const by = STEPS[event.key];
    if (!by || event.defaultPrevented || event.target.matches("input, select, textarea")) return;
    event.preventDefault();
    this.#step(by);
  }
}
