// SPDX-License-Identifier: Apache-2.0
//
// A real sluiced on virtual ports, for tests from outside: no root, no huge pages, no interface.

import {execFile, spawn} from 'node:child_process';
import {createWriteStream} from 'node:fs';
import {mkdtemp, rm} from 'node:fs/promises';
import {createServer} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';

export const kPrefix = '/myaccount/api/v1';
const kReadyMs = 30_000;

async function free_port() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const {port} = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export class Daemon {
  // bin: the folder of sluiced and sluicectl; options: further arguments; log: a file.
  static async start({bin, options = [], log}) {
    const daemon = new Daemon();
    daemon.bin = bin;
    daemon.folder = await mkdtemp(join(tmpdir(), 'sluice-web-'));
    daemon.socket = join(daemon.folder, 'api.sock');
    daemon.port = await free_port();
    daemon.url = `http://127.0.0.1:${daemon.port}`;
    daemon.options = options;
    daemon.log = log;
    await daemon.run();
    return daemon;
  }

  async run() {
    this.process = spawn(join(this.bin, 'sluiced'), [
      '--no-huge', '--zone', 'edge,outside=net_ring0,inside=net_ring1', '--workers', '1',
      '--flows-max', '1024', '--state', join(this.folder, 'state.db'),
      '--api', `unix:${this.socket}`, '--api', this.url, '--api-insecure-loopback',
      ...this.options,
    ], {stdio: ['ignore', 'pipe', 'pipe']});
    this.ended = new Promise((resolve) => this.process.once('exit', resolve));
    const log = createWriteStream(this.log, {flags: 'a'});
    for (const stream of [this.process.stdout, this.process.stderr]) stream.pipe(log, {end: false});
    const deadline = Date.now() + kReadyMs;
    while (!(await this.is_ready())) {
      if (this.process.exitCode !== null || Date.now() > deadline)
        throw new Error(`sluiced did not become ready; its log is ${this.log}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async is_ready() {
    try {
      return (await fetch(`${this.url}/readyz`)).ok;
    } catch {
      return false;
    }
  }

  async halt() {
    this.process.kill('SIGTERM');
    await this.ended;
  }

  async stop() {
    await this.halt();
    await rm(this.folder, {recursive: true, force: true});
  }

  // {status, headers, body}; body is JSON where there is any.
  async call(method, path, body, headers = {}) {
    const response = await fetch(this.url + (path.startsWith('/') ? kPrefix + path : `/${path}`), {
      method, headers: {'Content-Type': 'application/json', ...headers},
      body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
    });
    const text = await response.text();
    const is_json = (response.headers.get('Content-Type') ?? '').startsWith('application/json');
    return {status: response.status, headers: response.headers,
            body: is_json && text !== '' ? JSON.parse(text) : text};
  }

  // The data of a call that must succeed.
  async made(method, path, body) {
    const answer = await this.call(method, path, body);
    if (answer.status !== 200)
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body.data;
  }

  async ctl(...words) {
    const {stdout} = await promisify(execFile)(join(this.bin, 'sluicectl'), words,
      {env: {...process.env, SLUICE_API: `unix:${this.socket}`}});
    return stdout;
  }
}
