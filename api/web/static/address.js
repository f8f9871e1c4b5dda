// What stands behind `#`: whose wall is open, and which of its pictures it shows.
export const FILTERS = ["label", "score_from", "score_below", "verdict", "status", "sort"];

export function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const query = Object.fromEntries(FILTERS.filter((name) => given.get(name)).map((name) => [name, given.get(name)]));
  return { job: given.get("job"), query };
}

export const addressOf = (job, query = {}) => `#${new URLSearchParams({ job, ...query })}`;
