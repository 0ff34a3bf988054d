import { Readable } from 'node:stream';

/** So many bytes, in pieces. */
export const pieces = left => Readable.from((function* () {
  for (const piece = Buffer.alloc(65536); left > 0; left -= piece.length) yield piece.subarray(0, left);
})());
