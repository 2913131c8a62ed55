// SPDX-License-Identifier: Apache-2.0
//
// Asks before a group is detached, and what shall become of the connections that only it allows.

import {busy, element} from './dom.js';

const kFates = [
  ['cut', 'End with their next packet'],
  ['drain', 'Go on for a while, then end'],
  ['keep', 'Go on until they end by themselves'],
];

export class DetachDialog {
  // detach(group, flows): the change; true when it is done.
  constructor({detach}) {
    this.detach = detach;
    this.title = element('h2', {id: 'detach-title'});
    this.text = element('p', {id: 'detach-text'});
    this.failure = element('p', {class: 'error', role: 'alert'});
    this.fates = kFates.map(([value]) => element('input', {
      type: 'radio', name: 'fate', value, id: `fate-${value}`,
      onchange: () => this.show_seconds(),
    }));
    this.seconds = element('input', {type: 'number', id: 'drain-seconds', min: 1, max: 604800,
                                     value: 60, required: true});
    this.seconds_row = element('p', {class: 'seconds', hidden: true},
      element('label', {for: 'drain-seconds'}, 'Seconds '), this.seconds);
    this.confirm = element('button', {type: 'submit', class: 'danger'}, 'Detach');
    this.cancel = element('button', {type: 'button', onclick: () => this.dialog.close()}, 'Cancel');
    this.dialog = element('dialog', {'aria-labelledby': 'detach-title',
                                     'aria-describedby': 'detach-text'},
    element('form', {onsubmit: (event) => {
      event.preventDefault();
      void busy(this.confirm, () => this.submit());
    }},
    this.title, this.text,
    element('fieldset', {}, element('legend', {}, 'Live connections that no other group allows'),
      kFates.map(([value, label], i) => element('p', {class: 'choice'}, this.fates[i],
        element('label', {for: `fate-${value}`}, label))),
      this.seconds_row),
    this.failure,
    element('p', {class: 'buttons'}, this.cancel, this.confirm)));
    document.body.append(this.dialog);
  }

  open(group, lb_name) {
    this.group = group;
    this.title.textContent = `Detach ${group.name}?`;
    this.text.textContent = `New connections that only ${group.name} allows are refused for ` +
      `${lb_name} as soon as it is detached. The group itself stays.`;
    this.failure.textContent = '';
    this.fates[0].checked = true;
    this.show_seconds();
    this.dialog.showModal();
    this.cancel.focus();
  }

  show_seconds() {
    this.seconds_row.hidden = !this.fates[1].checked;
    this.seconds.disabled = !this.fates[1].checked;
  }

  async submit() {
    this.failure.textContent = '';
    const fate = this.fates.find((radio) => radio.checked).value;
    const flows = fate === 'drain' ? `drain:${this.seconds.value}` : fate;
    const failure = await this.detach(this.group, flows);
    if (failure === null) this.dialog.close();
    else this.failure.textContent = failure;
  }
}
