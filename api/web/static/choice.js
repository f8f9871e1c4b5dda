// A text field that proposes labels as one types: the combobox of the ARIA practices.
import { element } from "./element.js";

const PAUSE_MS = 120; // of typing, before a search
let made = 0;

// `search` gives proposals for a text, each with `text` and, if any, `hint`; one goes to `onChoose`.
export function choice(label, search, onChoose) {
  const id = `choice-${made++}`;
  const list = element("ul", { id, role: "listbox", ariaLabel: label, hidden: true });
  const input = element("input", { type: "text", role: "combobox", autocomplete: "off",
    ariaAutoComplete: "list", ariaExpanded: "false" });
  input.setAttribute("aria-controls", id);
  const proposals = new Proposals(input, list, onChoose);
  listen(input, proposals, search);
  return element("div", { className: "choice" }, element("label", { textContent: label }, input), list);
}

function listen(input, proposals, search) {
  let timer;
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const typed = input.value.trim();
      const found = typed ? await search(typed) : [];
      if (input.value.trim() === typed) proposals.show(found); // else it is late
    }, PAUSE_MS);
  });
  input.addEventListener("keydown", (event) => {
    if (!event.isComposing && proposals.press(event.key)) event.preventDefault();
  });
  input.addEventListener("blur", () => proposals.show([]));
}

class Proposals {
  constructor(input, list, onChoose) {
    Object.assign(this, { input, list, onChoose, found: [], active: -1 });
  }

  show(found) {
    this.found = found;
    this.list.replaceChildren(...found.map((each, n) => this.option(each, n)));
    this.list.hidden = !found.length;
    if (found.length) this.list.scrollIntoView({ block: "nearest" });
    this.input.ariaExpanded = String(found.length > 0);
    this.activate(found.length ? 0 : -1);
  }

  option(proposal, n) {
    const made = element("li", { id: `${this.list.id}-${n}`, role: "option" },
      element("span", { textContent: proposal.text }),
      element("small", { textContent: proposal.hint ?? "" }));
    made.addEventListener("pointerdown", (event) => { event.preventDefault(); this.choose(n); });
    return made;
  }

  activate(n) {
    this.active = n;
    [...this.list.children].forEach((option, k) => { option.ariaSelected = String(k === n); });
    this.list.children[n]?.scrollIntoView({ block: "nearest" });
    if (n < 0) this.input.removeAttribute("aria-activedescendant");
    else this.input.setAttribute("aria-activedescendant", this.list.children[n].id);
  }

  choose(n) {
    const chosen = this.found[n];
    this.input.value = "";
    this.show([]);
    this.onChoose(chosen);
  }

  // True if the key meant the proposals.
  press(key) {
    const count = this.found.length;
    if (!count) return false;
    if (key === "ArrowDown") this.activate((this.active + 1) % count);
    else if (key === "ArrowUp") this.activate((this.active + count - 1) % count);
    else if (key === "Enter") this.choose(this.active);
    else if (key === "Escape") this.show([]);
    else return false;
    return true;
  }
}
