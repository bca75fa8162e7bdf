// Shows the OpenAPI document.
const $ = (id) => document.getElementById(id);

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function table(titles, rows) {
  const made = element('table');
  const head = made.createTHead().insertRow();
  for (const title of titles) head.append(element('th', title));
  const body = made.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    for (const cell of row) {
      const place = line.insertCell();
      if (cell instanceof Node) place.append(cell);
      else place.textContent = cell;
    }
  }
  return made;
}

// Of a schema: a link to its name, or its type and limits in short.
function kind(schema) {
  if (!schema) return '';
  if (schema.$ref) {
    const name = schema.$ref.split('/').pop();
    const link = element('a', name);
    link.href = `#schema-${name}`;
    return link;
  }
  if (schema.oneOf) {
    const all = element('span');
    schema.oneOf.forEach((each, i) => all.append(i ? ' or ' : '', kind(each)));
    return all;
  }
  if (schema.type === 'array') {
    const list = element('span', 'list of ');
    list.append(kind(schema.items));
    return list;
  }
  const parts = [[].concat(schema.type || 'any').join(' or ')];
  if (schema.enum) parts.push(schema.enum.join(', '));
  if (schema.minimum !== undefined || schema.maximum !== undefined) {
    parts.push(`${schema.minimum ?? ''} to ${schema.maximum ?? ''}`);
  }
  if (schema.default !== undefined) parts.push(`default ${JSON.stringify(schema.default)}`);
  return parts.join('; ');
}

function content(part) {
  const [type, media] = Object.entries((part && part.content) || {})[0] || [];
  if (!type) return '';
  const made = element('span', `${type} `);
  made.append(kind(media.schema));
  return made;
}

function showOperation(method, path, operation) {
  const made = element('details', undefined, 'operation');
  const summary = element('summary');
  summary.append(element('span', method.toUpperCase(), 'method'), element('span', path, 'path'));
  if (operation.summary) summary.append(` ${operation.summary}`);
  const inside = element('div');
  if (operation.description) inside.append(element('p', operation.description));
  if (operation.parameters) {
    inside.append(table(['Parameter', 'In', 'Kind', ''],
      operation.parameters.map((each) => [each.name, each.in, kind(each.schema), each.description || ''])));
  }
  if (operation.requestBody) {
    const body = element('p', 'Body: ');
    body.append(content(operation.requestBody));
    inside.append(body);
  }
  inside.append(table(['Status', '', 'Answer'], Object.entries(operation.responses)
    .map(([status, answer]) => [status, answer.description, content(answer)])));
  made.append(summary, inside);
  made.dataset.words = `${path} ${operation.summary || ''} ${operation.description || ''}`.toLowerCase();
  return made;
}

function showSchema(name, schema) {
  const made = element('details', undefined, 'operation');
  made.id = `schema-${name}`;
  made.append(element('summary', name, 'path'));
  const inside = element('div');
  if (schema.properties) {
    inside.append(table(['Field', 'Kind', ''], Object.entries(schema.properties).map(([key, each]) => {
      const names = [key, ...(each['x-aliases'] || [])].join(', ');
      return [names, kind(each), each.description || ''];
    })));
  } else {
    inside.append(kind(schema));
  }
  made.append(inside);
  return made;
}

function openTarget() {
  const target = document.getElementById(location.hash.slice(1));
  if (target) target.open = true;
}

async function begin() {
  const answer = await fetch('api/v1/openapi.json', { credentials: 'same-origin' });
  if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
  const api = await answer.json();
  const byTag = new Map();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const tag = operation.tags[0];
      if (!byTag.has(tag)) byTag.set(tag, []);
      byTag.get(tag).push(showOperation(method, path, operation));
    }
  }
  for (const [tag, operations] of byTag) $('operations').append(element('h2', tag), ...operations);
  for (const [name, schema] of Object.entries(api.components.schemas)) {
    $('schemas').append(showSchema(name, schema));
  }
  openTarget();
}

$('search').addEventListener('input', () => {
  const word = $('search').value.toLowerCase();
  for (const each of document.querySelectorAll('#operations .operation')) {
    each.hidden = !each.dataset.words.includes(word);
  }
});
window.addEventListener('hashchange', openTarget);
begin().catch((error) => {
  $('message').textContent = error.message;
  $('message').hidden = false;
});
