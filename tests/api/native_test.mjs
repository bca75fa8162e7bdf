// The native API, its events and the page, as a browser and a program use them.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { client, pngSize, startServer } from './server.mjs';

const finals = ['succeeded', 'failed', 'cancelled', 'refused', 'expired'];
const WebSocket = client('ws'); // node 18 has none of its own
let server;

before(async () => { server = await startServer(); });
after(async () => assert.equal(await server?.stop(), 0, server?.said()));

async function call(method, path, body, headers = {}) {
  const answer = await fetch(path.startsWith('http') ? path : server.url + path, {
    method,
    headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, json: text ? JSON.parse(text) : null };
}

async function ended(self) {
  for (let tries = 0; tries < 600; ++tries) {
    const { json } = await call('GET', self);
    if (finals.includes(json.state)) return json;
    await sleep(50);
  }
  throw new Error('the job does not end');
}

const quick = (more = {}) => ({ prompt: 'a red apple', steps: 2, seed: 5, ...more });

test('a job is accepted, drawn and fetched', async () => {
  const accepted = await call('POST', '/api/v1/jobs', quick({ stpes: 3 }));
  assert.equal(accepted.status, 202);
  assert.equal(accepted.headers.get('location'), accepted.json.links.self);
  assert.match(accepted.json.warnings[0], /'steps'/);
  const job = await ended(accepted.json.links.self);
  assert.equal(job.state, 'succeeded');
  assert.equal(job.request.seed, 5);
  const file = await fetch(job.results[0].url);
  assert.deepEqual(pngSize(Buffer.from(await file.arrayBuffer())), [128, 128]);
  assert.equal(file.headers.get('etag'), `"${job.results[0].sha256}"`);
  const same = await fetch(job.results[0].url, { headers: { 'if-none-match': file.headers.get('etag') } });
  assert.equal(same.status, 304);
  const part = await fetch(job.results[0].url, { headers: { range: 'bytes=1-3' } });
  assert.equal(part.status, 206);
  assert.equal(await part.text(), 'PNG');
  assert.equal((await fetch(job.results[0].url, { headers: { range: 'bytes=99999999-' } })).status, 416);
});

test('a wrong field is refused by its path', async () => {
  const { status, json } = await call('POST', '/api/v1/jobs', { jobs: [quick(), quick({ steps: 0 })] });
  assert.equal(status, 400);
  assert.equal(json.error.field, 'jobs[1].steps');
  assert.equal(json.error.limits.maximum, 1000);
});

test('a batch, and the same key again', async () => {
  const headers = { 'idempotency-key': 'batch' };
  const body = { jobs: [quick({ seed: 1 }), quick({ seed: 2 })] };
  const first = await call('POST', '/api/v1/jobs', body, headers);
  const again = await call('POST', '/api/v1/jobs', body, headers);
  assert.deepEqual(again.json.jobs.map((job) => job.id), first.json.jobs.map((job) => job.id));
  assert.ok(again.json.jobs.every((job) => job.repeated));
  for (const job of first.json.jobs) assert.equal((await ended(job.links.self)).state, 'succeeded');
});

test('a job is cancelled', async () => {
  const { json } = await call('POST', '/api/v1/jobs', quick({ steps: 1000, batch_count: 50 }));
  await call('DELETE', json.links.self);
  assert.equal((await ended(json.links.self)).state, 'cancelled');
});

test('server-sent events tell the whole job', async () => {
  const { json } = await call('POST', '/api/v1/jobs', quick({ steps: 10 }));
  const text = await (await fetch(json.links.events)).text(); // ends with the job
  const events = text.split('\n\n').filter((block) => block.includes('data: '))
    .map((block) => JSON.parse(block.slice(block.indexOf('data: ') + 6)));
  assert.equal(events[0].event, 'queued');
  assert.equal(events.at(-1).state, 'succeeded');
  const ids = [...text.matchAll(/^id: (\d+)$/gm)].map((match) => match[1]);
  const rest = await (await fetch(json.links.events, { headers: { 'last-event-id': ids.at(-2) } })).text();
  assert.deepEqual([...rest.matchAll(/^id: (\d+)$/gm)].map((match) => match[1]), ids.slice(-1));
});

test('a WebSocket tells states, steps and previews', async () => {
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/api/v1/events`);
  const messages = [];
  socket.onmessage = (event) => messages.push(JSON.parse(event.data));
  await new Promise((resolve, reject) => { socket.onopen = resolve; socket.onerror = reject; });
  socket.send('{');
  const { json } = await call('POST', '/api/v1/jobs', quick({ steps: 60, delivery: { previews: true } }));
  socket.send(JSON.stringify({ subscribe: json.id, previews: true, preview_interval_ms: 100 }));
  for (let tries = 0; tries < 600 && !messages.some((each) => finals.includes(each.state)); ++tries) await sleep(50);
  socket.close();
  const of = (type) => messages.filter((each) => each.type === type);
  assert.equal(of('error').length, 1);
  assert.equal(of('subscribed')[0].job, json.id);
  assert.equal(of('state').at(-1).state, 'succeeded');
  assert.ok(of('progress').length > 5);
  const steps = of('progress').map((each) => each.progress.step);
  assert.deepEqual(steps, [...steps].sort((a, b) => a - b));
  for (const preview of of('preview')) {
    assert.equal(Buffer.from(preview.image, 'base64').subarray(0, 2).toString('hex'), 'ffd8');
  }
});

test('the server tells of itself', async () => {
  assert.ok((await call('GET', '/api/v1/models')).json.models.some((model) => model.name === 'emoji-128'));
  assert.ok((await call('GET', '/api/v1/samplers')).json.samplers.length > 10);
  assert.match((await call('GET', '/api/v1/status')).json.version, /\d/);
  assert.equal(typeof (await call('GET', '/api/v1/queue')).json.queued, 'number');
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  assert.match(metrics, /^safelight_jobs\{state="succeeded"\} \d+$/m);
  const document = (await call('GET', '/api/v1/openapi.json')).json;
  assert.equal(document.openapi, '3.1.0');
  for (const [path, methods] of Object.entries(document.paths)) {
    if (!path.startsWith('/api/v1')) continue;
    for (const operation of Object.values(methods)) assert.ok(operation.summary, path);
  }
});

test('the pages have all their files', async () => {
  for (const path of ['/', '/docs']) {
    const page = await fetch(server.url + path);
    assert.equal(page.status, 200);
    assert.match(page.headers.get('content-security-policy'), /default-src 'none'/);
    const html = await page.text();
    for (const [, target] of html.matchAll(/(?:src|href)="(assets\/[^"]+)"/g)) {
      const asset = await fetch(new URL(target, server.url + path));
      assert.equal(asset.status, 200, target);
    }
  }
});
