// A client of SD WebUI's API that nobody here wrote (node-sd-webui), and what other clients of that API send.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { client, pngSize, startServer } from './server.mjs';

const { default: sdwebui } = client('node-sd-webui');
let server;
let webui;

before(async () => {
  server = await startServer();
  webui = sdwebui({ apiUrl: server.url });
});
after(async () => assert.equal(await server?.stop(), 0, server?.said()));

async function call(method, path, body) {
  const answer = await fetch(server.url + path, {
    method,
    headers: body === undefined ? {} : { 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  assert.notEqual(text, '', `${path} answers with an empty body`);
  return { status: answer.status, json: JSON.parse(text) };
}
async function get(path) {
  const { status, json } = await call('GET', path);
  assert.equal(status, 200, path);
  return json;
}
const bytes = (image) => Buffer.from(image, 'base64');

/** Waits until progress says so. */
async function progress(wanted) {
  for (let tries = 0; tries < 600; ++tries) {
    const now = await get('/sdapi/v1/progress?skip_current_image=true');
    if (wanted(now)) return now;
    await sleep(20);
  }
  throw new Error('it does not come to that');
}
const idle = (now) => now.progress === 0 && now.state.job_count === 0;

test('a picture, its parameters and what is inside it', async () => {
  const answer = await webui.txt2img({
    prompt: 'a red apple', negativePrompt: 'leaves', seed: 5, steps: 2, cfgScale: 7,
    samplingMethod: 'DPM++ 2M Karras', width: 128, height: 96,
  });
  assert.equal(answer.images.length, 1);
  assert.deepEqual(pngSize(bytes(answer.images[0])), [128, 96]);
  assert.equal(answer.parameters.prompt, 'a red apple');
  assert.equal(answer.parameters.steps, 2);
  assert.equal(typeof answer.info, 'string');
  const info = JSON.parse(answer.info);
  assert.deepEqual(info.all_seeds, [5]);
  assert.equal(info.sampler_name, 'DPM++ 2M');
  assert.equal(info.sd_model_name, 'emoji-128');
  assert.match(info.infotexts[0], /^a red apple\nNegative prompt: leaves\nSteps: 2, Sampler: DPM\+\+ 2M, /);
  assert.match(info.infotexts[0], /Schedule type: Karras, CFG scale: 7, Seed: 5, Size: 128x96, Model hash: /);

  const read = await webui.pngInfo({ imageData: answer.images[0] });
  assert.equal(read.prompt, 'a red apple');
  assert.equal(read.negativePrompt, 'leaves');
  assert.equal(read.steps, 2);
  assert.equal(read.samplingMethod, 'DPM++ 2M');
  const { json } = await call('POST', '/sdapi/v1/png-info', { image: `data:image/png;base64,${answer.images[0]}` });
  assert.equal(json.info, info.infotexts[0]);
  assert.equal(json.parameters.Seed, '5');
  assert.equal(json.parameters['Schedule type'], 'Karras');
});

test('the same seed is the same picture; batches count seeds up', async () => {
  const ask = (more) => webui.txt2img({ prompt: 'a red apple', seed: 7, steps: 2, ...more });
  const [one, more] = [await ask({}), await ask({ batchCount: 2 })];
  assert.equal(one.images[0], more.images[0]);
  assert.equal(more.images.length, 2);
  assert.notEqual(more.images[0], more.images[1]);
  assert.deepEqual(JSON.parse(more.info).all_seeds, [7, 8]);
});

test('what is not there is an error that names the field', async () => {
  await assert.rejects(webui.txt2img({ prompt: 'x', hires: { upscaler: 'Latent', upscaleBy: 2, steps: 1 } }));
  await assert.rejects(webui.txt2img({ prompt: 'x', script: { name: 'X/Y/Z plot' } }));
  await assert.rejects(webui.img2img({ prompt: 'x', imageData: ['aGVsbG8='] }));
  for (const [body, status, named] of [
    [{ enable_hr: true }, 422, /enable_hr/],
    [{ sampler_name: 'Eulr a' }, 422, /Euler a/],
    [{ steps: 0 }, 422, /steps/],
    [{ sd_model_checkpoint: 'nonsense' }, 404, /nonsense/],
  ]) {
    const answer = await call('POST', '/sdapi/v1/txt2img', body);
    assert.equal(answer.status, status);
    assert.match(answer.json.detail, named);
  }
});

// All fields that the Python client "webuiapi" sends, at its defaults.
test('the full body of another client', async () => {
  const answer = await call('POST', '/sdapi/v1/txt2img', {
    enable_hr: false, hr_scale: 2, hr_upscaler: 'Latent', hr_second_pass_steps: 0, hr_resize_x: 0, hr_resize_y: 0,
    hr_checkpoint_name: null, hr_sampler_name: null, hr_scheduler: null, hr_prompt: '', hr_negative_prompt: '',
    denoising_strength: 0.7, firstphase_width: 0, firstphase_height: 0, prompt: 'a fish', styles: [], seed: 9,
    subseed: -1, subseed_strength: 0, seed_resize_from_h: 0, seed_resize_from_w: 0, batch_size: 1, n_iter: 1, steps: 2,
    cfg_scale: 7, width: 128, height: 128, restore_faces: false, tiling: false, do_not_save_samples: false,
    do_not_save_grid: false, negative_prompt: '', eta: 1, s_churn: 0, s_tmax: 0, s_tmin: 0, s_noise: 1,
    override_settings: {}, override_settings_restore_afterwards: true, script_args: [], script_name: null,
    send_images: true, save_images: false, alwayson_scripts: { ControlNet: { args: [] } }, sampler_index: 'Euler a',
    sampler_name: null, scheduler: 'automatic', refiner_checkpoint: null, refiner_switch_at: 0,
    disable_extra_networks: false,
  });
  assert.equal(answer.status, 200, JSON.stringify(answer.json));
  assert.equal(JSON.parse(answer.json.info).sampler_name, 'Euler a');
});

test('settings of one job are of that job alone', async () => {
  const answer = await call('POST', '/sdapi/v1/txt2img', {
    prompt: 'a fish', steps: 1, save_images: true, override_settings: { samples_format: 'jpg', CLIP_stop_at_last_layers: 2 },
  });
  assert.equal(bytes(answer.json.images[0]).subarray(0, 2).toString('hex'), 'ffd8');
  assert.equal(JSON.parse(answer.json.info).clip_skip, 2);
  assert.equal((await get('/sdapi/v1/options')).samples_format, 'png');
});

test('options are set and kept', async () => {
  const options = await get('/sdapi/v1/options');
  assert.match(options.sd_model_checkpoint, /^emoji-128\.safetensors/);
  const set = await call('POST', '/sdapi/v1/options', { ...options, samples_format: 'webp', nonsense: 1 });
  assert.deepEqual(set.json, { updated: [{ samples_format: true }] });
  const answer = await webui.txt2img({ prompt: 'a fish', steps: 1 });
  assert.equal(bytes(answer.images[0]).subarray(0, 4).toString(), 'RIFF');
  await call('POST', '/sdapi/v1/options', { samples_format: 'png' });
  assert.equal((await call('POST', '/sdapi/v1/options', { samples_format: 'bmp' })).status, 422);
  const info = await get('/sdapi/v1/options-info');
  assert.deepEqual(Object.keys(info.options).sort(), Object.keys(options).sort());
});

test('the lists that clients ask for', async () => {
  const samplers = await get('/sdapi/v1/samplers');
  assert.ok(samplers.some((each) => each.name === 'Euler a' && Array.isArray(each.aliases)));
  assert.ok((await get('/sdapi/v1/schedulers')).some((each) => each.name === 'karras' && each.label === 'Karras'));
  const [model] = await get('/sdapi/v1/sd-models');
  assert.equal(model.model_name, 'emoji-128');
  for (const path of ['sd-vae', 'loras', 'hypernetworks', 'face-restorers', 'realesrgan-models', 'prompt-styles', 'wildcards',
    'latent-upscale-modes', 'artists', 'sd-modules', 'extensions', 'unets', 'script-info']) {
    assert.deepEqual(await get(`/sdapi/v1/${path}`), [], path);
  }
  assert.deepEqual(await get('/sdapi/v1/scripts'), { txt2img: [], img2img: [] });
  assert.deepEqual(await get('/sdapi/v1/embeddings'), { loaded: {}, skipped: {} });
  assert.equal((await get('/sdapi/v1/upscalers'))[0].name, 'None');
  assert.deepEqual(await get('/controlnet/model_list'), { model_list: [] });
  const memory = await get('/sdapi/v1/memory');
  assert.ok(memory.ram.total > memory.ram.used && memory.ram.used > 0);
  assert.ok(!JSON.stringify(await get('/sdapi/v1/cmd-flags')).includes('auth'));
  for (const path of ['refresh-checkpoints', 'refresh-vae', 'refresh-loras', 'refresh-embeddings', 'unload-checkpoint',
    'reload-checkpoint', 'interrupt', 'skip']) {
    assert.deepEqual(await call('POST', `/sdapi/v1/${path}`), { status: 200, json: {} });
  }
  assert.equal((await get('/sdapi/v1/checkpoint')).name, 'emoji-128');
});

test('an interrupted request gives the picture so far', async () => {
  await progress(idle);
  const asked = webui.txt2img({ prompt: 'a red apple', steps: 1000, width: 512, height: 512, seed: 5 });
  const now = await progress((each) => each.state.sampling_step > 0);
  assert.ok(now.progress > 0 && now.progress < 1);
  assert.equal(now.state.job_count, 1);
  assert.equal(now.state.sampling_steps, 1000);
  assert.equal((await get('/sdapi/v1/status')).status, 'running');
  assert.deepEqual(await call('POST', '/sdapi/v1/interrupt'), { status: 200, json: {} });
  const answer = await asked;
  assert.equal(answer.images.length, 1);
  assert.deepEqual(pngSize(bytes(answer.images[0])), [512, 512]);
  await progress(idle);
});

test('a task is followed by the name that the client gave', async () => {
  const gone = new AbortController();
  const asked = fetch(`${server.url}/sdapi/v1/txt2img`, {
    method: 'POST', signal: gone.signal, headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ prompt: 'a red apple', steps: 60, width: 256, height: 256, force_task_id: 'task(mine)' }),
  }).catch(() => null);
  await progress((each) => each.state.sampling_step > 0);
  assert.deepEqual(await get('/internal/pendingTasks'), { size: 1, tasks: ['task(mine)'] });
  // The client goes away; its job does not.
  gone.abort();
  await asked;
  for (let tries = 0; tries < 600; ++tries) {
    const { json } = await call('POST', '/internal/progress', { id_task: 'task(mine)', id_live_preview: -1 });
    if (json.completed) break;
    assert.ok(json.active);
    await sleep(20);
  }
  const [last] = await get('/sdapi/v1/history');
  assert.equal(last.op, 'end');
  assert.equal(last.state, 'succeeded');
});
