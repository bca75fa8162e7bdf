// Makes a picture through the native API and shows how it comes about.
const $ = (id) => document.getElementById(id);
const form = $('request');

let csrf = null; // repeated in requests that change something, when the session is a cookie's
let job = null; // links of the running job
let events = null;

class Refused extends Error {
  constructor(message, field) {
    super(message);
    this.field = field;
  }
}

async function call(method, path, body) {
  const headers = { Accept: 'application/json' };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (csrf) headers['X-CSRF-Token'] = csrf;
  const answer = await fetch(path, {
    method,
    headers,
    credentials: 'same-origin',
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (answer.status === 401) {
    location.assign('login');
    throw new Refused('Please sign in.');
  }
  const json = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    const error = json.error || {};
    throw new Refused(error.message || `The server answered ${answer.status}.`, error.field);
  }
  return json;
}

function complain(error) {
  $('message').textContent = error ? error.message : '';
  $('message').hidden = !error;
  for (const input of form.elements) input.removeAttribute('aria-invalid');
  const input = error && error.field && form.elements.namedItem(error.field);
  if (input) {
    input.setAttribute('aria-invalid', 'true');
    input.focus();
  }
}

function fill(select, names, first) {
  select.replaceChildren();
  if (first !== undefined) select.add(new Option(first, ''));
  for (const name of names) select.add(new Option(name, name));
}

function readRequest() {
  const request = { delivery: { previews: true } };
  for (const input of form.elements) {
    if (!input.name || input.value === '') continue;
    request[input.name] = input.type === 'number' ? Number(input.value) : input.value;
  }
  return request;
}

function time(seconds) {
  if (seconds === null || seconds === undefined) return '';
  if (seconds < 60) return `${Math.ceil(seconds)} s left`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s left`;
}

function showState(parts, fraction) {
  $('state').textContent = parts.filter(Boolean).join(' · ');
  if (fraction === undefined) $('bar').removeAttribute('value');
  else $('bar').value = fraction;
}

function setBusy(busy) {
  $('make').disabled = busy;
  $('cancel').disabled = !busy;
  $('progress').hidden = !busy;
}

function showPreview(event) {
  $('picture').src = `data:${event.media_type};base64,${event.image}`;
  $('picture').alt = 'The picture being drawn';
  $('download').hidden = true;
  $('parameters').textContent = '';
  $('figure').hidden = false;
}

// Links in answers are absolute; behind a proxy that changes host or scheme only their path is right.
const local = (link) => link.slice(link.lastIndexOf('/api/v1/') + 1);

async function finish(self) {
  if (events) events.close();
  events = null;
  job = null;
  setBusy(false);
  const ended = await call('GET', self);
  const result = ended.results.at(-1);
  if (result) {
    const url = local(result.url);
    $('picture').src = url;
    $('picture').alt = ended.request.prompt || 'The picture';
    $('download').href = `${url}?download=1`;
    $('download').hidden = false;
    $('parameters').textContent = result.infotext;
    $('figure').hidden = false;
  } else {
    $('figure').hidden = true;
  }
  if (ended.state === 'cancelled') complain(new Error('The job was cancelled.'));
  else if (ended.state !== 'succeeded') {
    complain(new Error(ended.error ? ended.error.message : `The job is ${ended.state}.`));
  }
}

const finals = ['succeeded', 'failed', 'cancelled', 'refused', 'expired'];

function follow(accepted) {
  job = { self: local(accepted.links.self) };
  const { self } = job;
  events = new EventSource(`${local(accepted.links.events)}?previews=1`, { withCredentials: true });
  events.addEventListener('state', (message) => {
    const event = JSON.parse(message.data);
    if (finals.includes(event.state)) {
      finish(self).catch(complain);
    } else if (event.state === 'queued') {
      const before = event.position ? `${event.position} before it` : '';
      showState(['Waiting', before, time(event.eta_seconds)]);
    } else if (event.state === 'running' && !event.snapshot) {
      showState(['Preparing']);
    }
  });
  events.addEventListener('progress', (message) => {
    const event = JSON.parse(message.data);
    const { step, steps, fraction, batch, batches } = event.progress;
    const which = batches > 1 ? `picture ${batch + 1} of ${batches}` : '';
    showState([which, `step ${step} of ${steps}`, time(event.eta_seconds)], fraction);
  });
  events.addEventListener('preview', (message) => showPreview(JSON.parse(message.data)));
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  if (job) return;
  complain(null);
  setBusy(true);
  showState(['Sending']);
  try {
    follow(await call('POST', 'api/v1/jobs', readRequest()));
  } catch (error) {
    setBusy(false);
    complain(error);
  }
});

async function cancel() {
  if (!job) return;
  try {
    await call('DELETE', job.self);
  } catch (error) {
    complain(error);
  }
}

$('cancel').addEventListener('click', cancel);
document.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  if (event.key === 'Escape') cancel();
});

async function begin() {
  const me = await call('GET', 'api/v1/me');
  csrf = me.csrf_token;
  $('who').textContent = me.auth ? me.name : '';
  const [models, samplers] = await Promise.all([call('GET', 'api/v1/models'), call('GET', 'api/v1/samplers')]);
  fill($('model'), models.models.map((model) => model.name), 'the default');
  fill($('sampler'), samplers.samplers.map((sampler) => sampler.name));
  $('sampler').value = 'DPM++ 2M';
}

begin().catch(complain);
