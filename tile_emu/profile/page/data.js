"use strict";
// Arrays are zlib streams of little-endian int32, all lowest bytes first, then all second bytes, and so on.
async function inflate(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function unpackArray(entry) {
  const planes = await inflate(entry.data);
  const size = planes.length / 4;
  const values = new Int32Array(size);
  for (let i = 0; i < size; i++) {
    values[i] = planes[i] | (planes[size + i] << 8) | (planes[2 * size + i] << 16) | (planes[3 * size + i] << 24);
  }
  return values;
}

async function unpackWide(entry) {
  // 64-bit counts: all high words, then all low words.
  const words = await unpackArray(entry);
  const size = words.length / 2;
  const values = new Float64Array(size);
  for (let i = 0; i < size; i++) values[i] = words[i] * 4294967296 + (words[size + i] >>> 0);
  return values;
}

// Contents of a run from the element that holds them: markup of its parts, and its data with the arrays unpacked.
async function unpackBlock(element) {
  const content = JSON.parse(new TextDecoder().decode(await inflate(element.textContent)));
  const { arrays } = content.report, names = Object.keys(arrays);
  const unpacked = await Promise.all(names.map((name) => (arrays[name].wide ? unpackWide : unpackArray)(arrays[name])));
  names.forEach((name, i) => { arrays[name] = unpacked[i]; });
  return content;
}
