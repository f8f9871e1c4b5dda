// A box on a picture, drawn with the pointer or written as numbers, in pixels of the picture.
import { element } from "./element.js";
import { say } from "./words.js";

const SIDES = ["left", "top", "right", "bottom"];

// Shows a box, given as [x0, y0, x1, y1] in a picture of this width and height.
export function outline([x0, y0, x1, y1], { width, height }) {
  const box = element("div", { className: "box", ariaHidden: "true" });
  const place = { left: x0 / width, top: y0 / height, width: (x1 - x0) / width, height: (y1 - y0) / height };
  for (const [side, share] of Object.entries(place)) box.style[side] = `${100 * share}%`;
  return box;
}

// The form that asks for a box on a picture, and the sheet to draw on. `onBox` gets each box that is
// saved, `onEnd` hears that there will be no more.
export function askRegion(image, onBox, onEnd) {
  const sheet = element("div", { className: "sheet" });
  const bounds = [image.width, image.height, image.width, image.height];
  const inputs = SIDES.map((side, n) =>
    element("input", { type: "number", min: 0, max: bounds[n], step: 1, required: true, className: side }));
  const form = element("form", { className: "region" },
    element("p", { textContent: say("drawHere") }),
    ...inputs.map((input, n) => element("label", { textContent: `${say(`${SIDES[n]}_px`)} ` }, input)),
    element("button", { textContent: say("saveBox") }),
    element("button", { type: "button", className: "end", textContent: say("close") }));
  const show = () => sheet.replaceChildren(...(isBox(boxOf(inputs)) ? [outline(boxOf(inputs), image)] : []));
  const write = (box) => { box.forEach((value, n) => { inputs[n].value = value; }); show(); };
  form.addEventListener("input", show);
  form.addEventListener("keydown", (event) => { if (event.key === "Escape") { event.preventDefault(); onEnd(); } });
  form.querySelector(".end").addEventListener("click", onEnd);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (isBox(boxOf(inputs))) onBox(boxOf(inputs));
  });
  write(middle(image));
  draw(sheet, image, write);
  return [form, sheet];
}

const boxOf = (inputs) => inputs.map((input) => Math.round(input.valueAsNumber));
const isBox = ([x0, y0, x1, y1]) => x0 < x1 && y0 < y1; // false where one is not a number

function middle({ width, height }) {
  return [width / 4, height / 4, (3 * width) / 4, (3 * height) / 4].map(Math.round);
}

// Follows the pointer from where it goes down to where it goes up.
function draw(sheet, image, write) {
  let from = null;
  sheet.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    sheet.setPointerCapture(event.pointerId);
    from = pixel(event, sheet, image);
  });
  sheet.addEventListener("pointermove", (event) => {
    if (from === null) return;
    const to = pixel(event, sheet, image);
    const [x0, x1] = [from[0], to[0]].sort((a, b) => a - b);
    const [y0, y1] = [from[1], to[1]].sort((a, b) => a - b);
    if (x0 < x1 && y0 < y1) write([x0, y0, x1, y1]);
  });
  for (const end of ["pointerup", "pointercancel"]) sheet.addEventListener(end, () => { from = null; });
}

// Where the event is, in pixels of the picture.
function pixel(event, sheet, { width, height }) {
  const at = sheet.getBoundingClientRect();
  const x = ((event.clientX - at.left) / at.width) * width;
  const y = ((event.clientY - at.top) / at.height) * height;
  return [Math.round(Math.min(Math.max(x, 0), width)), Math.round(Math.min(Math.max(y, 0), height))];
}
