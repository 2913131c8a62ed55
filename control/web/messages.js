// SPDX-License-Identifier: Apache-2.0
//
// What happened, in words, above the tab. Both places are live regions, so it is also said.

import {element} from './dom.js';

const success_place = document.getElementById('success');
const failure_place = document.getElementById('failure');

function show(place, kind, text, details) {
  clear();
  const close = element('button', {
    type: 'button', class: 'icon', 'aria-label': 'Dismiss this message', onclick: clear,
  }, element('span', {'aria-hidden': 'true'}, '✕'));
  place.append(element('div', {class: `message ${kind}`},
    element('div', {},
      element('p', {}, text),
      details.length === 0 ? null
        : element('ul', {}, details.map((detail) => element('li', {}, detail)))),
    close));
}

export function clear() {
  success_place.replaceChildren();
  failure_place.replaceChildren();
}

export function succeeded(text, details = []) {
  show(success_place, 'success', text, details);
}

// An ApiError, or any other: with the reasons that its message does not tell already.
export function failed(error, advice = '') {
  const reasons = Object.values(error.errors ?? {}).flat()
    .filter((reason) => !error.message.includes(reason));
  show(failure_place, 'failure', advice ? `${error.message} ${advice}` : error.message, reasons);
}
