// Files of what was dropped or chosen, folders and all; pictures apart from the rest.
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  return (await Promise.all(entries.map(filesOf))).flat();
}

async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((done, fail) => entry.file(done, fail))];
  const reader = entry.createReader();
  const files = [];
  for (;;) { // it tells of a hundred at a time
    const some = await new Promise((done, fail) => reader.readEntries(done, fail));
    if (!some.length) return files;
    files.push(...(await Promise.all(some.map(filesOf))).flat());
  }
}

export function sorted(files) {
  const pictures = files.filter(isPicture);
  return { pictures, others: files.filter((file) => !isPicture(file)) };
}

function isPicture(file) {
  return file.type.startsWith("image/") && file.type !== "image/svg+xml";
}

// As many lists as requests are needed, by the front door's limits.
export function batches(files, { max_images_per_request, max_request_bytes }) {
  const lists = [];
  let room = 0;
  for (const file of files) {
    const size = file.size + 1024; // with the part's own headers
    if (!lists.length || lists.at(-1).length >= max_images_per_request || size > room) {
      lists.push([]);
      room = max_request_bytes - 65536; // without the options
    }
    lists.at(-1).push(file);
    room -= size;
  }
  return lists;
}
