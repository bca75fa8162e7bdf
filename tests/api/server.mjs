// What the tests here share: a server of their own, and the pinned clients.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

// The program and the folder of the clients, as run.sh gives them.
const program = process.env.SAFELIGHT_PROGRAM;
const clients = createRequire(join(process.env.SAFELIGHT_CLIENTS, 'package.json'));

/** A client of package.json. */
export const client = (name) => clients(name);

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/** Starts `safelight serve` with a home of its own and waits until it is ready: {url, home, stop()}. */
export async function startServer(flags = []) {
  const home = mkdtempSync(join(tmpdir(), 'safelight-api-'));
  const port = await freePort();
  const environment = { ...process.env, HOME: home };
  for (const name of Object.keys(environment)) {
    if (name.startsWith('XDG_') || name.startsWith('SAFELIGHT_')) delete environment[name];
  }
  const server = spawn(program, ['serve', '--port', String(port), ...flags],
    { env: environment, cwd: home, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [server.stdout, server.stderr]) stream.on('data', (data) => { said += data; });
  const ended = new Promise((resolve) => server.on('exit', (code, signal) => resolve(code ?? signal)));
  const url = `http://127.0.0.1:${port}`;
  const stop = async () => {
    server.kill('SIGTERM');
    const status = await Promise.race([ended, sleep(40_000, 'still running', { ref: false })]);
    if (status === 'still running') server.kill('SIGKILL');
    rmSync(home, { recursive: true, force: true });
    return status;
  };
  for (let tries = 0; tries < 300; ++tries) {
    const answer = await fetch(`${url}/readyz`).catch(() => null);
    if (answer?.ok) return { url, home, stop, said: () => said };
    if (server.exitCode !== null) break;
    await sleep(100);
  }
  await stop();
  throw new Error(`the server did not get ready; it said:\n${said}`);
}

/** The size of a PNG, by its head. */
export function pngSize(bytes) {
  if (bytes.subarray(1, 4).toString('latin1') !== 'PNG') throw new Error('no PNG');
  return [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
}
