// SPDX-License-Identifier: Apache-2.0
//
// The page: which load balancer is shown stands in the address (#/lb/12); a new generation makes
// all that is shown read again.

import {Balancers} from './balancers.js';
import {Live} from './live.js';
import {Tab} from './tab.js';
import {TokenDialog} from './token.js';

// After each reading, so that a node under steady change is not asked without end.
const kRestMs = 300;

const generation_place = document.getElementById('generation');
const live_place = document.getElementById('live');

new TokenDialog();
const balancers = new Balancers();
const tab = new Tab();

function route() {
  const id = Number(/^#\/lb\/(\d{1,10})$/.exec(location.hash)?.[1] ?? NaN);
  if (Number.isNaN(id) || tab.id === id) return;
  balancers.select(id);
  void tab.show(id);
}

// Generations that come while a reading is under way are worth one more, however many they are.
let is_reading = false, is_stale = false;
async function read_anew() {
  is_stale = true;
  if (is_reading) return;
  is_reading = true;
  while (is_stale) {
    is_stale = false;
    await Promise.all([balancers.refresh(), tab.refresh()]);
    await new Promise((resolve) => setTimeout(resolve, kRestMs));
  }
  is_reading = false;
}

const live = new Live((generation) => {
  generation_place.textContent = `Generation ${generation.toLocaleString('en')} in force`;
  void read_anew();
}, (state) => {
  if (live_place.dataset.state === state) return;
  live_place.dataset.state = state;
  live_place.textContent = state;
});

window.addEventListener('hashchange', route);
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) void read_anew();
});
void balancers.refresh();
route();
live.start();
