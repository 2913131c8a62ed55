// SPDX-License-Identifier: Apache-2.0
//
// Tells when a new generation is in force: by the node's event stream, and by asking every few
// seconds while there is none. (EventSource cannot send a token, so the stream is read here.)

import {call, on_answer, request} from './api.js';

const kPollMs = 3_000;
const kRetryMs = [1_000, 2_000, 5_000, 15_000];

export class Live {
  // on_generation(number); on_state('live' | 'polling' | 'offline')
  constructor(on_generation, on_state) {
    this.on_generation = on_generation;
    this.on_state = on_state;
    this.generation = 0;
    this.last_id = null;
    this.is_open = false;
    // Answers may overtake one another, so they only ever raise it.
    on_answer((generation) => {
      if (generation > this.generation) this.note(generation);
    });
  }

  start() {
    void this.listen();
    void this.poll();
  }

  note(generation) {
    if (!Number.isFinite(generation) || generation === this.generation) return;
    this.generation = generation;
    this.on_generation(generation);
  }

  async listen() {
    for (let failures = 0; ; ++failures) {
      try {
        await this.read_stream(() => { failures = 0; });
      } catch { /* the next try tells */ }
      this.is_open = false;
      await this.ask();
      await sleep(kRetryMs[Math.min(failures, kRetryMs.length - 1)]);
    }
  }

  async read_stream(opened) {
    const headers = {Accept: 'text/event-stream'};
    if (this.last_id !== null) headers['Last-Event-ID'] = this.last_id;
    const response = await request('GET', '/events/', {headers});
    const type = response.headers.get('Content-Type') ?? '';
    if (!response.ok || !type.startsWith('text/event-stream')) {
      await response.body?.cancel();
      throw new Error(`no event stream: ${response.status}`);
    }
    opened();
    this.is_open = true;
    this.on_state('live');
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    for (;;) {
      const {done, value} = await reader.read();
      if (done) return;
      text += value.replaceAll('\r', '');
      const events = text.split('\n\n');
      text = events.pop();
      for (const event of events) this.take(event);
    }
  }

  take(event) {
    let id = null, name = 'message';
    for (const line of event.split('\n')) {
      if (line.startsWith('id:')) id = line.slice(3).trim();
      if (line.startsWith('event:')) name = line.slice(6).trim();
    }
    if (id === null) return;  // a comment that keeps the connection open
    this.last_id = id;
    if (name === 'generation') this.note(Number(id));
  }

  async poll() {
    for (;;) {
      await sleep(kPollMs);
      if (!this.is_open && !document.hidden) await this.ask();
    }
  }

  async ask() {
    let state = 'polling';
    try {
      this.note((await call('GET', '/appliances/?per_page=1')).generation);
    } catch {
      state = 'offline';
    }
    if (!this.is_open) this.on_state(state);
  }
}

function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
