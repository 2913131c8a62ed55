// SPDX-License-Identifier: Apache-2.0
//
// Asks for the bearer token where the node wants one. It is kept until the browser tab is closed.

import {keep_token, on_unauthorized, token} from './api.js';
import {element} from './dom.js';

export class TokenDialog {
  constructor() {
    this.input = element('input', {type: 'password', id: 'token', required: true,
                                   autocomplete: 'off', 'aria-describedby': 'token-error'});
    this.error = element('p', {class: 'error', id: 'token-error', role: 'alert'});
    this.dialog = element('dialog', {'aria-labelledby': 'token-title',
                                     oncancel: (event) => event.preventDefault()},
    element('form', {onsubmit: (event) => {
      event.preventDefault();
      this.accept();
    }},
    element('h2', {id: 'token-title'}, 'This node asks for a token'),
    element('p', {class: 'hint'}, 'One from its token file; it is kept until this browser tab ' +
      'is closed.'),
    element('div', {class: 'field'}, element('label', {for: 'token'}, 'Token'), this.input,
      this.error),
    element('p', {class: 'buttons'}, element('button', {type: 'submit', class: 'primary'},
      'Continue'))));
    document.body.append(this.dialog);
    this.forget = document.getElementById('forget-token');
    this.forget.addEventListener('click', () => {
      keep_token(null);
      location.reload();
    });
    this.forget.hidden = !token();
    on_unauthorized((message) => this.ask(message));
  }

  // Resolves when there is a token to try; whoever asks meanwhile waits for the same one.
  ask(message) {
    if (!this.asked) {
      this.asked = new Promise((resolve) => { this.resolve = resolve; });
      this.error.textContent = token() ? message : '';
      this.input.value = '';
      this.dialog.showModal();
      this.input.focus();
    }
    return this.asked;
  }

  accept() {
    keep_token(this.input.value.trim());
    this.forget.hidden = false;
    this.dialog.close();
    const resolve = this.resolve;
    this.asked = null;
    resolve();
  }
}
