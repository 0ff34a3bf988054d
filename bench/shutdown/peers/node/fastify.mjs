// fastify with its defaults, stopped by close().
import fastify from 'fastify';
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { pieces } from './pieces.mjs';

const app = fastify();
app.addContentTypeParser('*', { parseAs: 'buffer' }, (request, body, done) => done(null, body));
app.get('/', () => 'Hello, QCon!\n');
app.get('/slow', async request => { await sleep(Number(request.query.ms)); return 'slept\n'; });
app.get('/big', (request, reply) => { reply.header('content-length', request.query.bytes).send(pieces(Number(request.query.bytes))); });
app.post('/echo', (request, reply) => { reply.send(request.body ?? ''); });
await app.listen({ port: 0, host: '127.0.0.1' });
writeFileSync('ready.json', JSON.stringify({ app: `127.0.0.1:${app.server.address().port}` }));
process.on('SIGTERM', async () => { await app.close(); process.exit(0); });
