// The live page of the debug port in a real Chromium, with the real binary behind it. Each step is a sentence; the
// first that does not hold ends it with 1. Screenshots are left in the folder that is given.
//   node page.mjs SERVICE CHROMIUM NODE_MODULES SCREENSHOTS
import { spawn, spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import http from 'node:http';
import net from 'node:net';

const [service, executablePath, modules, shots] = process.argv.slice(2);
const { chromium } = createRequire(join(modules, 'here.js'))('playwright-core');
const work = mkdtempSync(join(tmpdir(), 'page-'));
mkdirSync(shots, { recursive: true });
const limit = 20_000;
const pause = ms => new Promise(done => setTimeout(done, ms));

const hold = (true_, sentence) => {
  if (!true_) throw new Error(sentence);
  console.log(`  ${sentence}`);
};
/** Asks again until it holds; every wait has an end. */
const until = async (sentence, holds) => {
  for (const end = Date.now() + limit; Date.now() < end; await pause(50)) if (await holds()) return hold(true, sentence);
  hold(false, sentence);
};

const run = async (name, flags) => {
  const ready = join(work, name + '.json');
  const child = spawn(service, ['--app.address=127.0.0.1', '--app.port=0', `--ready_file=${ready}`,
    `--tracker.directory=${join(work, name)}`, ...flags.some(flag => flag.startsWith('--debug.port=')) ? [] : ['--debug.port=0'], ...flags], { stdio: ['ignore', 'ignore', 'ignore'] });
  const started = { child, code: new Promise(done => child.on('exit', done)) };
  const places = () => { try { return JSON.parse(readFileSync(ready)); } catch { return null; } };
  await until(`${name}: the service is ready`, () => { const found = places(); return found && Object.assign(started, found); });
  return started;
};
/** A request to the app that nobody has to wait for. */
const ask = (to, path, method = 'GET', body) => new Promise(done => {
  const [host, port] = to.split(':');
  const request = http.request({ host, port, path, method, agent }, answer => answer.resume().on('end', () => done(answer.statusCode)));
  request.on('error', () => done(0));
  request.end(body);
});
const agent = new http.Agent({ keepAlive: true, maxSockets: 24 });
/** Traffic until told to end: many quick ones, some slow ones, events. */
const load = to => {
  let over = false, nth = 0;
  const client = async () => {
    for (; !over && nth < 200_000; ++nth) {
      await ask(to, ...(nth % 13 === 0 ? [`/slow?ms=${20 + nth % 400}`] : nth % 5 === 0 ? ['/events', 'POST', 'page'] : nth % 7 === 0 ? ['/big?bytes=200000'] : ['/']));
      await pause(nth % 11);
    }
  };
  const all = Promise.all(Array.from({ length: 12 }, client));
  return async () => { over = true; await all; };
};

const browser = await chromium.launch({ executablePath, args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic',
  '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
const running = [];
try {
  const open = async (of, how = {}) => {
    const context = await browser.newContext({ viewport: { width: 1180, height: 900 }, reducedMotion: 'reduce', ...how });
    const page = await context.newPage(), faults = [], outside = [];
    page.on('console', m => { if (['error', 'warning'].includes(m.type())) faults.push(m.text()); });
    page.on('pageerror', e => faults.push(String(e)));
    page.on('request', r => { if (!r.url().startsWith(`http://${of.debug}/`) && !r.url().startsWith('data:')) outside.push(r.url()); });
    const answer = await page.goto(`http://${of.debug}/debug/`);
    return { page, faults, outside, answer, close: () => context.close() };
  };
  /** What the page shows before it has asked for anything. */
  const first_frame = async (of, how = {}) => {
    const context = await browser.newContext({ viewport: { width: 1180, height: 900 }, ...how });
    const page = await context.newPage();
    await page.route(/debug\/(shutdown|history|tasks)/, () => {});  // never answered
    await page.goto(`http://${of.debug}/debug/`, { waitUntil: 'domcontentloaded' });
    return { page, close: () => context.close() };
  };
  const phase = page => page.textContent('#phase');
  const moves = (page, id) => page.evaluate(id => (document.querySelector(`#chart-${id} .line`).getAttribute('d').match(/[ML]/g) || []).length, id);

  const serving = await run('serving', ['--shutdown.lame_duck=15s', '--shutdown.budget=40s', '--app.threads=2']);
  running.push(serving);
  await pause(4500);  // points of the history, of a service that nobody asks for anything
  const frame = await first_frame(serving);
  hold(/ up [0-9]+ s /.test(await frame.page.textContent('#since')), 'the first frame knows for how long it runs');
  hold(Number(await frame.page.textContent('#charts .now span')) === 0, 'and that nobody asks for anything');
  for (const id of ['requests', 'flight', 'queue', 'cpu']) hold(await moves(frame.page, id) >= 3, `and has the last seconds in the chart ${id}`);
  hold(/GET \/slow/.test(await frame.page.textContent('#table')), 'and the routes');
  hold(await phase(frame.page) === 'serving' && await frame.page.locator('#steps li').count() >= 4, 'and the steps of a stop');
  await frame.close();
  const quiet = load(serving.app);
  const seen = await open(serving, { colorScheme: 'light' });
  const { page } = seen;
  hold(seen.answer.headers()['content-security-policy'].startsWith("default-src 'none'; script-src 'nonce-"), 'the page has a strict policy');
  await until('it says that the service serves', async () => await phase(page) === 'serving');
  for (const id of ['requests', 'latency', 'flight', 'queue', 'lag', 'cpu'])
    await until(`the chart ${id} moves under load`, async () => await moves(page, id) >= 4);
  hold(Number(await page.textContent('#charts .now span')) > 5, 'it counts requests a second');
  await until('the table has the routes', async () => /GET \/slow/.test(await page.textContent('#table')));
  await until('what is faster than the first bucket is below its end', async () => /< 100 µs/.test(await page.textContent('#table')));
  const index = await (await fetch(`http://${serving.debug}/debug/`)).text();
  for (const [path, button] of [['/debug/pprof/profile', 'CPU profile, 10 s'], ['/debug/pprof/heap', 'Heap'], ['/debug/trace', 'Trace, 5 s']]) {
    const built = (await fetch(`http://${serving.debug}${path}?seconds=1`)).status === 200;
    hold(await page.locator('#profiles a', { hasText: button }).count() === (built ? 1 : 0), `the button ${button} is there if what it asks for is`);
    hold(index.includes(`\n${path} `) === built, 'as the index has it');
  }
  await page.selectOption('#level', 'warn');
  await until('the log level can be set', async () => /warn/.test(await page.textContent('#level-said')));
  hold((await (await fetch(`http://${serving.debug}/debug/log`)).text()).includes('warn'), 'and is set');
  await pause(Number(process.env.PAGE_SECONDS || 6) * 1000);  // for a picture with something in it
  await page.screenshot({ path: join(shots, 'serving-light.png'), fullPage: true });
  const glance = { x: 0, y: 0, width: 1180, height: 790 };
  await page.screenshot({ path: join(shots, 'page-light.png'), clip: glance });
  await page.emulateMedia({ colorScheme: 'dark' });
  const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  hold(ground === 'rgb(17, 19, 21)', 'it is dark where the reader likes it dark');
  await page.screenshot({ path: join(shots, 'serving-dark.png'), fullPage: true });
  await page.screenshot({ path: join(shots, 'page-dark.png'), clip: glance });
  await page.setViewportSize({ width: 390, height: 800 });
  hold(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing is wider than a phone');
  hold(await page.evaluate(() => [...document.querySelectorAll('button, select, .button')].every(e => {
    const r = e.getBoundingClientRect();
    return r.left >= 0 && r.right <= innerWidth && r.height >= 38;
  })), 'there each button is in reach of a thumb');
  hold(await page.evaluate(() => { const t = document.querySelector('.scroll'); return t.scrollWidth <= t.clientWidth + 24; }), 'and the table of routes can be read');
  await page.screenshot({ path: join(shots, 'phone-dark.png'), fullPage: true });
  await page.screenshot({ path: join(shots, 'page-phone.png'), clip: { x: 0, y: 0, width: 390, height: 844 } });
  await page.setViewportSize({ width: 1180, height: 900 });

  await page.focus('#drain');
  await page.keyboard.press('Enter');
  hold(/15 s/.test(await page.textContent('dialog')), 'the drain button asks first, and says how long it can be taken back');
  await page.click('#drain-yes');
  await until('the lame duck is shown', async () => await phase(page) === 'lame duck');
  await until('it can be left', async () => page.isEnabled('#undrain'));
  await page.click('#undrain');
  await until('and then it serves again', async () => await phase(page) === 'serving');
  hold(seen.faults.length === 0, `no console errors ${seen.faults}`);
  hold(seen.outside.length === 0, `nothing is asked for elsewhere ${seen.outside}`);
  await quiet();
  await seen.close();

  const still = await open(serving, { javaScriptEnabled: false });
  const text = await still.page.innerText('body');
  hold(/requests answered/.test(text) && /\/debug\/shutdown/.test(text) && /serving/.test(text), 'without script it has figures and index as text');
  hold(!/Drain/.test(text), 'and nothing that would not work');
  await still.page.screenshot({ path: join(shots, 'without-script.png'), fullPage: true });
  await still.close();
  serving.child.kill('SIGKILL');
  await serving.code;

  const otlp = '--telemetry.otlp_endpoint=http://127.0.0.1:9';
  const own_part = spawnSync(service, ['--check-config', otlp]).status === 0;  // a module that adds a part
  const stopping = await run('stopping', ['--shutdown.lame_duck=2s', '--shutdown.budget=20s', '--app.threads=2', ...own_part ? [otlp] : []]);
  running.push(stopping);
  const watch = await open(stopping, { colorScheme: 'light' });
  await until('it says that the service serves', async () => await phase(watch.page) === 'serving');
  if (own_part) hold(/App drains.*Telemetry ends.*Tracker flushes.*Debug ends/.test(await watch.page.textContent('#steps')), 'a part of a module is a step of the stop, where it comes');
  const held = ask(stopping.app, '/slow?ms=6000');
  await pause(500);
  const current = () => watch.page.$$eval('#steps [aria-current=step]', all => all.map(e => e.querySelector('b').textContent).join());
  const left = async () => parseFloat(await watch.page.textContent('#bar-left'));
  stopping.child.kill('SIGTERM');
  await until('a SIGTERM is shown as it begins', async () => await phase(watch.page) === 'lame duck' && /SIGTERM/.test(await watch.page.textContent('#stop-text')));
  hold(await watch.page.isDisabled('#undrain'), 'a signal cannot be taken back');
  const early = await left();
  await until('the lame duck is the current phase', async () => await current() === 'Lame duck');
  await until('then the app drains', async () => await current() === 'App drains');
  await until('the budget runs down', async () => await left() < early - 1);
  await until('the request that it waits for is named', async () => /GET \/slow/.test(await watch.page.textContent('#waits')));
  await pause(1500);
  await watch.page.screenshot({ path: join(shots, 'stopping-light.png'), fullPage: true });
  hold(await held === 200, 'that request is answered');
  hold(await stopping.code === 0, 'the open page does not hold the exit');
  await until('the page says that the process has ended', async () => await phase(watch.page) === 'ended');
  hold(/SIGTERM/.test(await watch.page.textContent('#end-text')), 'and keeps the last that was seen');
  hold(/Exit code 0, in order: \d+ requests? answered, 0 cut/.test(await watch.page.textContent('#verdict')), 'and how it went');
  hold(/App drains✓/.test(await watch.page.textContent('#steps')), 'nothing was cut while the app drained');
  await watch.page.screenshot({ path: join(shots, 'ended-light.png'), fullPage: true });
  await watch.close();

  // Somebody reads an answer slower than a second order to stop lets it.
  // A port of the test's own: what had any free one leaves it in TIME-WAIT.
  const fixed = await new Promise(done => { const held = net.createServer().listen(0, '127.0.0.1', () => { const { port } = held.address(); held.close(() => done(port)); }); });
  const cut = await run('cut', ['--app.threads=2', `--debug.port=${fixed}`]);
  running.push(cut);
  const third = await open(cut, { colorScheme: 'dark' });
  await until('it says that the service serves', async () => await phase(third.page) === 'serving');
  const [host, port] = cut.app.split(':');
  const reader = http.get({ host, port, path: '/big?bytes=300000000' }, answer => answer.pause());
  reader.on('error', () => {});
  await until('an answer is under way', async () => /GET \/big/.test(await third.page.textContent('#waits')));
  cut.child.kill('SIGTERM');
  await until('the app drains', async () => await phase(third.page) === 'stopping');
  hold(/So far: .* 0 cut/.test(await third.page.textContent('#verdict')), 'what is under way is not cut yet');
  await pause(300);  // further apart than one order
  cut.child.kill('SIGTERM');
  hold(await cut.code === 3, 'the process is forced');
  await until('the page says that it has ended', async () => await phase(third.page) === 'ended');
  hold(/Exit code 3, cut short: .* 1 cut/.test(await third.page.textContent('#verdict')), 'and with which exit code, and what was cut');
  hold(/App drains✗ 1 cut/.test(await third.page.textContent('#steps')), 'the step in which it was is no success');
  await third.page.screenshot({ path: join(shots, 'cut-dark.png'), fullPage: true });
  const next = await run('cut', [`--debug.port=${fixed}`]);
  running.push(next);
  await until('the next process is shown without being asked for', async () => await phase(third.page) === 'serving');
  if ((await (await fetch(`http://${next.debug}/debug/shutdown`)).json()).previous_run)
    hold(/The run before this one ended at .* with exit code 3, cut short: .* 1 cut/.test(await third.page.textContent('#before')), 'and how the one before it has ended');
} catch (error) {
  console.error(`page: does not hold: ${error.message}`);
  process.exitCode = 1;
} finally {
  await browser.close();
  for (const program of running) program.child.kill('SIGKILL');
  agent.destroy();
  rmSync(work, { recursive: true, force: true });
}
