// SPDX-License-Identifier: Apache-2.0
//
// The Security Group tab of one load balancer: what is attached, and the ways to change it.

import {ApiError, call} from './api.js';
import {AttachPanel} from './attach.js';
import {status_pill} from './balancers.js';
import {CreateDialog} from './create.js';
import {DetachDialog} from './detach.js';
import {element, plural, reconcile} from './dom.js';
import {all_traffic_of, attached_group} from './group.js';
import * as messages from './messages.js';

const kTriesWithIfMatch = 5;

export class Tab {
  constructor() {
    this.place = document.getElementById('tab');
    this.title = document.getElementById('title');
    this.id = null;
    this.data = null;      // of GET /appliances/{id}/security_group/
    this.vpcs = new Map();  // "vpc_<id>" to CIDRs
    this.folds = new Map();
    this.shown = new Map();
    this.attach_panel = new AttachPanel({
      attach: (ids) => this.attach(ids),
      create: () => this.create_dialog.open(),
      closed: () => this.attach_button.focus(),
    });
    this.create_dialog = new CreateDialog({created: (group) => this.created(group)});
    this.detach_dialog = new DetachDialog({detach: (group, flows) => this.detach(group, flows)});
    this.build();
  }

  build() {
    this.facts = element('p', {class: 'facts'});
    this.attach_button = element('button', {type: 'button', class: 'primary', onclick: () => {
      if (this.attach_panel.is_open) this.attach_panel.close();
      else this.attach_panel.open();
    }}, 'Attach Security Group');
    this.count = element('span', {class: 'count'});
    this.alarm = element('p', {class: 'allow-all', hidden: true});
    this.list_title = element('h3', {tabindex: '-1', class: 'unseen'}, 'Attached security groups');
    this.list = element('div', {class: 'groups'});
    this.unavailable = element('div', {class: 'unavailable', hidden: true});
    this.available = element('div', {hidden: true},
      element('div', {class: 'toolbar'}, this.attach_button, this.count),
      this.attach_panel.element, this.alarm, this.list_title, this.list);
    this.content = element('section', {'aria-label': 'Security Group'}, this.facts,
      element('h2', {class: 'tab-title'}, 'Security Group'), this.unavailable, this.available);
  }

  async show(id) {
    this.id = id;
    this.data = null;
    this.attach_panel.element.hidden = true;
    messages.clear();
    this.place.replaceChildren(this.content);
    this.content.hidden = true;
    this.title.textContent = `Load balancer ${id}`;
    await this.refresh();
  }

  // Reads anew; what is answered was read after the call. Calls meanwhile share one reading.
  refresh() {
    if (!this.loading) {
      this.loading = this.load().finally(() => { this.loading = null; });
      return this.loading;
    }
    this.waiting ??= this.loading.then(() => {
      this.waiting = null;
      return this.refresh();
    });
    return this.waiting;
  }

  async load() {
    const id = this.id;
    if (id === null) return;
    this.place.setAttribute('aria-busy', 'true');
    try {
      const lb = (await call('GET', `/appliances/${id}/`)).data;
      const tab = await this.read_tab(id);
      if (id !== this.id) return;
      this.show_facts(lb);
      if (tab.error) this.show_unavailable(lb, tab.error);
      else this.show_groups(tab);
      this.content.hidden = false;
    } catch (error) {
      if (id !== this.id) return;
      if (error.status === 404) this.show_gone(error);
      else messages.failed(error);
    } finally {
      if (id === this.id) this.place.removeAttribute('aria-busy');
    }
  }

  async read_tab(id) {
    try {
      const tab = (await call('GET', `/appliances/${id}/security_group/`)).data;
      if (JSON.stringify(tab).includes('"myNetwork"')) {
        const vpcs = (await call('GET', '/vpc/list/')).data;
        this.vpcs = new Map(vpcs.map((vpc) => [`vpc_${vpc.vpc_id}`, vpc.cidrs]));
      }
      return tab;
    } catch (error) {
      if (error.status === 409) return {error};
      throw error;
    }
  }

  show_facts(lb) {
    this.lb = lb;
    this.title.textContent = lb.appliance_name;
    document.title = `${lb.appliance_name} · Security Groups · Sluice`;
    const fact = (name, value) => element('span', {class: 'fact'},
      element('span', {class: 'fact-name'}, `${name} `), value);
    const parts = [status_pill(lb.status), fact('id', String(lb.id))];
    if (lb.zone) parts.push(fact('zone', lb.zone));
    parts.push(fact('addresses', element('span', {class: 'address'}, lb.addresses.join(', '))));
    this.facts.replaceChildren(...parts);
  }

  show_unavailable(lb, error) {
    this.data = null;
    this.available.hidden = true;
    this.unavailable.hidden = false;
    this.detach_dialog.dialog.close();
    const text = `${lb.status}: not available now`;
    if (this.unavailable.dataset.told === error.message) return;
    this.unavailable.dataset.told = error.message;
    this.unavailable.replaceChildren(element('h3', {}, text), element('p', {}, error.message),
      element('p', {class: 'hint'}, 'What is attached stays enforced in every status.'));
  }

  show_gone(error) {
    this.data = null;
    this.title.textContent = 'Security Groups';
    this.place.replaceChildren(element('p', {class: 'empty'}, error.message));
  }

  show_groups(tab) {
    this.data = tab;
    delete this.unavailable.dataset.told;
    this.unavailable.hidden = true;
    this.available.hidden = false;
    if (!this.place.contains(this.content)) this.place.replaceChildren(this.content);
    this.count.textContent = `${plural(tab.attached.length, 'group')} attached`;
    this.show_alarm(tab.attached);
    const cidrs = JSON.stringify([...this.vpcs]);
    reconcile(this.list, tab.attached.map((group) => ({
      key: group.id,
      signature: JSON.stringify(group) + cidrs,
      build: () => attached_group(group, {
        vpcs: this.vpcs, folds: this.folds, shown: this.shown,
        detach: (which) => this.detach_dialog.open(which, this.lb.appliance_name),
      }),
    })));
    this.attach_panel.update(tab.available, this.vpcs);
  }

  // The groups because of which everything is open, by name.
  show_alarm(groups) {
    const causes = groups.map((group) => [group.name, all_traffic_of(group, this.vpcs)])
      .filter(([, all]) => all !== '');
    this.alarm.hidden = causes.length === 0;
    const told = causes.map(([name, all]) => `${name} lets all traffic ${all}`).join('; ');
    if (this.alarm.dataset.told === told) return;
    this.alarm.dataset.told = told;
    this.alarm.replaceChildren();
    if (told) this.alarm.append(element('span', {class: 'badge alarm'}, 'ALLOW ALL'), ` ${told}.`);
  }

  // What the user sees of these groups and decides by.
  view_of(ids) {
    if (this.data === null) return null;
    const {attached, available} = this.data;
    return JSON.stringify([attached.map((group) => group.id),
      [...attached, ...available].filter((group) => ids.includes(group.id))]);
  }

  // A change of what was seen: if the node has moved on since, it is read again, and unless that
  // looks the same to the user the change is not made. A node that never rests is not waited for.
  async change(verb, ids, extra = {}) {
    const seen = this.view_of(ids);
    for (let tries = 0; ; ++tries) {
      const headers = tries < kTriesWithIfMatch && this.data
        ? {'If-Match': `"${this.data.generation}"`} : {};
      try {
        const body = {security_group_ids: ids, ...extra};
        return await call('POST', `/security_group/${this.id}/${verb}/`, {body, headers});
      } catch (error) {
        if (error.status !== 412) throw error;
        await this.refresh();
        if (this.view_of(ids) !== seen) {
          throw new ApiError(412, 'These security groups changed while you decided. The list has ' +
            'been loaded again: look at it and confirm once more.');
        }
      }
    }
  }

  // True: done.
  async attach(ids) {
    messages.clear();
    try {
      const {message} = await this.change('attach', ids);
      await this.refresh();
      messages.succeeded(message);
      return true;
    } catch (error) {
      messages.failed(error, await this.after_refusal(error));
      return false;
    }
  }

  // null: done; else why not.
  async detach(group, flows) {
    messages.clear();
    try {
      const {message, data} = await this.change('detach', [group.id], {flows});
      await this.refresh();
      messages.succeeded(message, fates_of(data.flows));
      // The button that opened the dialog is gone.
      this.detach_dialog.dialog.addEventListener('close', () => this.list_title.focus(),
        {once: true});
      return null;
    } catch (error) {
      return `${error.message} ${await this.after_refusal(error)}`.trim();
    }
  }

  // A conflict means that the list is not what it was.
  async after_refusal(error) {
    if (error.status !== 409 && error.status !== 404) return '';
    await this.refresh();
    return 'The list has been loaded again.';
  }

  async created({id, name, message}) {
    await this.refresh();
    messages.succeeded(message, [`${name} can be attached now.`]);
    if (this.data?.available.some((group) => group.id === id)) this.attach_panel.open([id]);
  }
}

// Only what is not nothing.
function fates_of(flows) {
  if (!flows) return [];
  return [[flows.cut, 'end with their next packet'], [flows.kept, 'go on until they end'],
    [flows.draining, 'go on for the time given']]
    .filter(([count]) => count > 0)
    .map(([count, what]) => `${plural(count, 'live connection')} ${what}`);
}
