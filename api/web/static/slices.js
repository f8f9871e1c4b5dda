// Slices of a job's results: fetched when they are wanted, the last of them kept.
const SIZE = 50; // items
const KEPT = 40; // slices
const AT_ONCE = 4;
const PAUSE_S = 2; // after a lost connection
const SPARE_MS = 60_000; // links that end sooner are fetched anew

export class Slices {
  #fetch;
  #tell;
  #kept = new Map(); // slices by number, the one wanted last at the end
  #underway = new Set();
  #wanted = [];
  #waiting = [];
  #pausing = false;
  matched = null; // of the list, where the front door counts it

  // `fetch` gives the page of results at an offset; `tell` hears that one came, or of an error.
  constructor(fetch, tell) {
    this.#fetch = fetch;
    this.#tell = tell;
  }

  at(position) {
    return this.#kept.get(Math.floor(position / SIZE))?.items[position % SIZE];
  }

  // The positions that are needed now; what was wanted before and has not begun is dropped.
  want(first, last) {
    const numbers = Math.floor(last / SIZE) - Math.floor(first / SIZE) + 1;
    this.#wanted = Array.from({ length: numbers }, (_, n) => Math.floor(first / SIZE) + n);
    this.#go();
  }

  // The same once it has come; undefined if the list is shorter.
  async item(position) {
    const number = Math.floor(position / SIZE);
    while (!this.#kept.has(number)) {
      if (!this.#wanted.includes(number)) this.#wanted.push(number);
      this.#go();
      await new Promise((resolve) => { this.#waiting.push(resolve); });
    }
    return this.at(position);
  }

  // Forgets slices that had unfinished items.
  renew() {
    for (const [number, slice] of this.#kept) if (slice.open) this.#kept.delete(number);
    this.#go();
  }

  #go() {
    const due = this.#wanted.filter((number) => !this.#fresh(number) && !this.#underway.has(number));
    if (this.#pausing) return;
    for (const number of due.slice(0, AT_ONCE - this.#underway.size)) this.#load(number);
  }

  #fresh(number) {
    const slice = this.#kept.get(number);
    if (!slice) return false;
    this.#kept.delete(number);
    this.#kept.set(number, slice);
    return slice.endsMs - SPARE_MS > Date.now();
  }

  async #load(number) {
    this.#underway.add(number);
    try {
      const page = await this.#fetch({ offset: number * SIZE, limit: SIZE });
      this.matched = page.matched;
      this.#keep(number, page);
      this.#tell();
    } catch (error) {
      this.#pause(error);
      this.#tell(error);
    }
    this.#underway.delete(number);
    for (const resolve of this.#waiting.splice(0)) resolve();
    this.#go();
  }

  #keep(number, page) {
    this.#kept.set(number, { items: page.items, endsMs: endsMs(page.items), open: !page.done && page.items.length < SIZE });
    for (const old of this.#kept.keys()) {
      if (this.#kept.size <= KEPT) return;
      if (!this.#wanted.includes(old)) this.#kept.delete(old);
    }
  }

  // Asks for nothing until it may help; never again if the front door will not have it.
  #pause(error) {
    this.#pausing = true;
    const pauseS = error.waitS || (error instanceof TypeError ? PAUSE_S : 0);
    if (pauseS) setTimeout(() => { this.#pausing = false; this.#go(); }, 1000 * pauseS);
  }
}

// When the first of the links ends.
function endsMs(items) {
  const links = items.flatMap((item) => [item, ...(item.explanations ?? [])])
    .flatMap((made) => Object.values(made.artifacts ?? {}));
  return Math.min(...links.map((link) => Date.parse(link.expires_at)));
}
