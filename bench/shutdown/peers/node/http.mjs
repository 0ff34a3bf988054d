// Node's own server, stopped as its documentation shows it.
import { createServer } from 'node:http';
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { pieces } from './pieces.mjs';

const server = createServer(async (request, answer) => {
  const { pathname, searchParams } = new URL(request.url, 'http://x');
  if (pathname === '/slow') await sleep(Number(searchParams.get('ms')));
  if (pathname === '/echo') return request.pipe(answer);
  if (pathname === '/big') {
    answer.setHeader('content-length', searchParams.get('bytes'));
    return pieces(Number(searchParams.get('bytes'))).pipe(answer);
  }
  answer.end('Hello, QCon!\n');
});
server.listen(0, '127.0.0.1', () => writeFileSync('ready.json', JSON.stringify({ app: `127.0.0.1:${server.address().port}` })));
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
  setTimeout(() => server.closeAllConnections(), 5000).unref();
});
