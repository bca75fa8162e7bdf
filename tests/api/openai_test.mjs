// OpenAI's own client against /v1.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { client, pngSize, startServer } from './server.mjs';

const { OpenAI } = client('openai');
const fast = { steps: 2, seed: 5 }; // fields of ours, which the client passes on
let server;
let openai;

before(async () => {
  server = await startServer();
  openai = new OpenAI({ apiKey: 'none', baseURL: `${server.url}/v1`, maxRetries: 2 });
});
after(async () => assert.equal(await server?.stop(), 0, server?.said()));

test('a picture as base64', async () => {
  const answer = await openai.images.generate({ model: 'gpt-image-1', prompt: 'a red apple', ...fast });
  assert.equal(answer.data.length, 1);
  assert.deepEqual(pngSize(Buffer.from(answer.data[0].b64_json, 'base64')), [128, 128]);
  assert.equal(answer.size, '128x128');
  assert.equal(answer.output_format, 'png');
  assert.equal(answer.usage.total_tokens, 0);
  assert.equal(answer.data[0].seed, 5);
});

test('the same seed is the same picture; n counts seeds up', async () => {
  const ask = (more) => openai.images.generate({ prompt: 'a red apple', ...fast, ...more });
  const [one, two] = [await ask({}), await ask({ n: 2 })];
  assert.equal(two.data.length, 2);
  assert.equal(one.data[0].b64_json, two.data[0].b64_json);
  assert.notEqual(two.data[0].b64_json, two.data[1].b64_json);
});

test('a URL that needs no key', async () => {
  const answer = await openai.images.generate({ model: 'dall-e-3', prompt: 'a fish', size: '64x96', ...fast });
  const file = await fetch(answer.data[0].url);
  assert.equal(file.status, 200);
  assert.equal(file.headers.get('content-type'), 'image/png');
  assert.deepEqual(pngSize(Buffer.from(await file.arrayBuffer())), [64, 96]);
  const forged = await fetch(answer.data[0].url.replace(/.$/, (last) => (last === '0' ? '1' : '0')));
  assert.equal(forged.status, 404);
});

test('other formats', async () => {
  const ask = async (format) => {
    const answer = await openai.images.generate({
      prompt: 'a fish', output_format: format, output_compression: 80, ...fast });
    assert.equal(answer.output_format, format);
    return Buffer.from(answer.data[0].b64_json, 'base64');
  };
  assert.equal((await ask('jpeg')).subarray(0, 2).toString('hex'), 'ffd8');
  assert.equal((await ask('webp')).subarray(8, 12).toString('latin1'), 'WEBP');
});

test('a stream with partial images', async () => {
  const stream = await openai.images.generate({
    model: 'gpt-image-1', prompt: 'a red apple', steps: 30, seed: 5, stream: true, partial_images: 2 });
  const events = [];
  for await (const event of stream) events.push(event);
  const last = events.pop();
  assert.equal(last.type, 'image_generation.completed');
  assert.deepEqual(pngSize(Buffer.from(last.b64_json, 'base64')), [128, 128]);
  assert.ok(last.usage);
  assert.ok(events.length <= 2);
  events.forEach((event, index) => {
    assert.equal(event.type, 'image_generation.partial_image');
    assert.equal(event.partial_image_index, index);
    assert.equal(Buffer.from(event.b64_json, 'base64').subarray(0, 2).toString('hex'), 'ffd8');
  });
});

test('what cannot be is refused by its name', async () => {
  const refused = async (parameters, expected) => {
    await assert.rejects(openai.images.generate({ prompt: 'a', ...fast, ...parameters }), (error) => {
      for (const [key, value] of Object.entries(expected)) assert.equal(error[key], value, `${key}: ${error.message}`);
      return true;
    });
  };
  await refused({ size: '100x100' }, { status: 400, param: 'size', type: 'invalid_request_error' });
  await refused({ n: 11 }, { status: 400, param: 'n' });
  await refused({ prompt: '' }, { status: 400, param: 'prompt' });
  await refused({ output_format: 'gif' }, { status: 400, param: 'output_format' });
  await refused({ steps: 0 }, { status: 400, param: 'steps' });
  await refused({ model: 'nobody' }, { status: 404, code: 'model_not_found' });
});

test('models', async () => {
  const ids = [];
  for await (const model of openai.models.list()) ids.push(model.id);
  assert.ok(ids.includes('emoji-128'), ids.join());
  assert.equal((await openai.models.retrieve('emoji-128')).object, 'model');
  await assert.rejects(openai.models.retrieve('nobody'), { status: 404 });
});
