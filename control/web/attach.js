// SPDX-License-Identifier: Apache-2.0
//
// The selector behind "Attach Security Group": several groups, confirmed with ✓, left with ✕.

import {busy, element, plural, reconcile} from './dom.js';
import {badges_of, rule_counts} from './group.js';

const kShown = 300;

function sign(text) {
  return element('span', {'aria-hidden': 'true'}, text);
}

export class AttachPanel {
  // attach(ids): the change; create(): opens the form for a new group; closed(): the panel went.
  constructor({attach, create, closed}) {
    this.attach = attach;
    this.create = create;
    this.closed = closed;
    this.selected = new Set();
    this.available = [];
    this.vpcs = new Map();
    this.element = element('section', {class: 'attach', 'aria-labelledby': 'attach-title',
                                       hidden: true,
                                       onkeydown: (event) => this.on_key(event)});
    this.build();
  }

  build() {
    this.filter = element('input', {
      id: 'attach-filter', type: 'search', autocomplete: 'off', spellcheck: 'false',
      placeholder: 'Filter', 'aria-label': 'Filter security groups', oninput: () => this.render(),
    });
    this.list = element('ul', {class: 'options', 'aria-label': 'Security groups to attach'});
    this.told = element('p', {class: 'count', role: 'status'});
    this.confirm = element('button', {
      type: 'button', class: 'icon confirm', 'aria-label': 'Attach the selected security groups',
      title: 'Attach', onclick: () => busy(this.confirm, () => this.submit()),
    }, sign('✓'));
    this.cancel = element('button', {
      type: 'button', class: 'icon', 'aria-label': 'Cancel', title: 'Cancel',
      onclick: () => this.close(),
    }, sign('✕'));
    const create = element('button', {type: 'button', class: 'link', onclick: () => this.create()},
      'Create a new security group');
    this.choice = element('div', {},
      element('div', {class: 'attach-bar'}, this.filter, this.told,
        element('span', {class: 'fill'}), create, this.confirm, this.cancel),
      this.list);
    this.none = element('p', {class: 'none'}, 'No more Security Groups are available. ',
      element('button', {type: 'button', class: 'link', 'data-focus': 'create',
                         onclick: () => this.create()}, 'Click here'),
      ' to create a new security group.');
    this.none_cancel = element('button', {
      type: 'button', class: 'icon', 'aria-label': 'Cancel', title: 'Cancel',
      onclick: () => this.close(),
    }, sign('✕'));
    this.nothing = element('div', {class: 'attach-bar'}, this.none,
      element('span', {class: 'fill'}), this.none_cancel);
    this.element.append(element('h3', {id: 'attach-title', class: 'unseen'},
      'Attach security groups'), this.choice, this.nothing);
  }

  get is_open() {
    return !this.element.hidden;
  }

  open(selected = []) {
    this.selected = new Set(selected);
    this.filter.value = '';
    this.element.hidden = false;
    this.render();
    if (this.available.length > 0) this.filter.focus();
    else this.none.querySelector('button').focus();
  }

  close() {
    if (!this.is_open) return;
    this.element.hidden = true;
    this.closed();
  }

  on_key(event) {
    if (event.key === 'Escape') {
      event.preventDefault();
      this.close();
    } else if (event.key === 'Enter' && event.target.matches('input')) {
      event.preventDefault();
      this.confirm.click();
    }
  }

  // The groups that may be attached, as the node tells them; what was chosen stays chosen.
  update(available, vpcs) {
    this.available = available;
    this.vpcs = vpcs;
    if (this.is_open) this.render();
  }

  render() {
    const ids = new Set(this.available.map((group) => group.id));
    for (const id of this.selected) if (!ids.has(id)) this.selected.delete(id);
    this.choice.hidden = this.available.length === 0;
    this.nothing.hidden = !this.choice.hidden;
    const text = this.filter.value.trim().toLowerCase();
    const found = this.available.filter((group) => text === '' || String(group.id) === text ||
      `${group.name}\n${group.description}`.toLowerCase().includes(text));
    reconcile(this.list, found.slice(0, kShown).map((group) => ({
      key: group.id,
      signature: JSON.stringify([group.name, group.description, rule_counts(group)]),
      build: () => this.build_option(group),
    })));
    for (const box of this.list.querySelectorAll('input'))
      box.checked = this.selected.has(Number(box.value));
    this.found = found.length;
    this.tell();
  }

  tell() {
    const hidden = this.found > kShown ? `, ${kShown} of ${this.found} shown` : '';
    const told = this.selected.size === 0
      ? `${plural(this.found, 'security group')}${hidden}`
      : `${this.selected.size} of ${plural(this.available.length, 'security group')} selected${hidden}`;
    if (this.told.textContent !== told) this.told.textContent = told;
    this.confirm.setAttribute('aria-disabled', String(this.selected.size === 0));
  }

  build_option(group) {
    const box = element('input', {
      type: 'checkbox', value: group.id, 'data-focus': `option ${group.id}`,
      onchange: () => {
        if (box.checked) this.selected.add(group.id);
        else this.selected.delete(group.id);
        this.tell();
      },
    });
    return element('li', {}, element('label', {}, box,
      element('span', {class: 'name'}, group.name), badges_of(group, this.vpcs),
      element('span', {class: 'count'}, rule_counts(group)),
      element('span', {class: 'description'}, group.description)));
  }

  async submit() {
    if (await this.attach([...this.selected])) this.close();
  }
}
