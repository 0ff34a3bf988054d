// Bun's own server, stopped by stop(), which waits for what is under way.
import { writeFileSync } from 'node:fs';
import { body } from './pieces.mjs';

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  async fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === '/slow') await Bun.sleep(Number(searchParams.get('ms')));
    if (pathname === '/echo') return new Response(await request.arrayBuffer());
    if (pathname === '/big') {
      const bytes = searchParams.get('bytes');
      return new Response(body(Number(bytes)), { headers: { 'content-length': bytes } });
    }
    return new Response('Hello, QCon!\n');
  }
});
writeFileSync('ready.json', JSON.stringify({ app: `127.0.0.1:${server.port}` }));
process.on('SIGTERM', async () => { await server.stop(); process.exit(0); });
