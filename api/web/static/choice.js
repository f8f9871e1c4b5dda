// A text field that proposes labels as one types: the combobox of the ARIA practices.
import { element } from "./element.js";

const PAUSE_MS = 120; // of typing, before a search
const AGAIN_MS = 1000; // after one that found not all yet
let made = 0;

// `search` gives what it `found` for a text, proposals with `text` and, if any, `hint`, and whether that
// is `complete`; one proposal goes to `onChoose`.
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
  const lookIn = (ms) => {
    clearTimeout(timer);
    timer = setTimeout(look, ms);
  };
  const look = async () => {
    const typed = input.value.trim();
    const { found, complete } = typed ? await search(typed) : { found: [], complete: true };
    if (input.value.trim() !== typed) return; // it is late
    proposals.renew(found);
    if (!complete) lookIn(AGAIN_MS);
  };
  input.addEventListener("input", () => lookIn(PAUSE_MS));
  input.addEventListener("keydown", (event) => {
    if (!event.isComposing && proposals.press(event.key)) event.preventDefault();
  });
  input.addEventListener("blur", () => {
    clearTimeout(timer);
    proposals.show([]);
  });
}

class Proposals {
  constructor(input, list, onChoose) {
    Object.assign(this, { input, list, onChoose, found: [], active: -1 });
  }

  // Leaves what is chosen among the same proposals.
  renew(found) {
    const texts = (proposals) => JSON.stringify(proposals.map((each) => [each.text, each.hint]));
    if (texts(found) !== texts(this.found)) this.show(found);
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
