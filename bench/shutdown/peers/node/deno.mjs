// Deno's own server, stopped by shutdown(), as its documentation shows it.
import { body } from './pieces.mjs';

const server = Deno.serve({
  hostname: '127.0.0.1',
  port: 0,
  onListen: ({ port }) => Deno.writeTextFileSync('ready.json', JSON.stringify({ app: `127.0.0.1:${port}` }))
}, async request => {
  const { pathname, searchParams } = new URL(request.url);
  if (pathname === '/slow') await new Promise(done => setTimeout(done, Number(searchParams.get('ms'))));
  if (pathname === '/echo') return new Response(await request.arrayBuffer());
  if (pathname === '/big') {
    const bytes = searchParams.get('bytes');
    return new Response(body(Number(bytes)), { headers: { 'content-length': bytes } });
  }
  return new Response('Hello, QCon!\n');
});
Deno.addSignalListener('SIGTERM', () => server.shutdown());
await server.finished;
Deno.exit(0);
