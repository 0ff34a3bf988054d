import { Readable } from 'node:stream';

/** So many bytes, in pieces. */
export const pieces = left => Readable.from((function* () {
  for (const piece = Buffer.alloc(65536); left > 0; left -= piece.length) yield piece.subarray(0, left);
})());

/** The same as the Web has it. */
export const body = left => new ReadableStream({
  pull(to) {
    to.enqueue(new Uint8Array(Math.min(left, 65536)));
    left -= 65536;
    if (left <= 0) to.close();
  }
});
