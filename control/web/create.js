// SPDX-License-Identifier: Apache-2.0
//
// The form for a new security group. What the node refuses stands at the field it names, and in a
// list on top that leads there. The form keeps what was written until the group is created.

import {call} from './api.js';
import {busy, element, plural} from './dom.js';
import {RuleForm, field, mark_field} from './rule_form.js';

// "rules[3].port_range" to its parts; null: not about a rule.
function rule_place(name) {
  const parts = /^rules\[(\d+)\](?:\.(.+))?$/.exec(name);
  return parts ? {index: Number(parts[1]), field: parts[2] ?? ''} : null;
}

export class CreateDialog {
  // created({id, name, message}): after the node enforces it.
  constructor({created}) {
    this.created = created;
    this.rules = [];
    this.vpcs = [];
    this.name = element('input', {type: 'text', required: true, maxlength: 50, autocomplete: 'off',
                                  spellcheck: 'false'});
    this.description = element('input', {type: 'text', autocomplete: 'off'});
    this.is_default = element('input', {type: 'checkbox', id: 'create-default'});
    this.fields = {
      name: field('name', 'Name', this.name, '1–50 of letters, digits, _ and -'),
      description: field('description', 'Description (optional)', this.description),
    };
    this.summary = element('div', {class: 'message failure', role: 'alert', tabindex: '-1',
                                   hidden: true});
    this.rule_list = element('div', {class: 'rule-list'});
    this.rules_error = element('p', {class: 'error', id: 'rules-error'});
    this.submit_button = element('button', {type: 'submit', class: 'primary'},
      'Create security group');
    this.dialog = element('dialog', {class: 'wide', 'aria-labelledby': 'create-title'}, this.form());
    document.body.append(this.dialog);
    this.reset();
  }

  form() {
    const add = (direction, protocol) => () => this.add_rule(direction, protocol, true);
    return element('form', {novalidate: true, onsubmit: (event) => {
      event.preventDefault();
      void busy(this.submit_button, () => this.submit());
    }},
    element('h2', {id: 'create-title'}, 'Create a security group'),
    this.summary,
    element('div', {class: 'head-fields'}, this.fields.name, this.fields.description),
    element('p', {class: 'choice'}, this.is_default, element('label', {for: 'create-default'},
      'Make it the default group of load balancers created from now on')),
    element('h3', {}, 'Rules'),
    element('p', {class: 'hint'}, 'Rules only allow. At least one inbound and one outbound rule.'),
    this.rules_error, this.rule_list,
    element('p', {class: 'adders'},
      element('button', {type: 'button', onclick: add('Inbound', 'Custom_TCP')},
        '+ Add inbound rule'),
      element('button', {type: 'button', onclick: add('Outbound', 'All')},
        '+ Add outbound rule')),
    element('p', {class: 'buttons'},
      element('button', {type: 'button', onclick: () => this.dialog.close()}, 'Cancel'),
      this.submit_button));
  }

  reset() {
    this.name.value = this.description.value = '';
    this.is_default.checked = false;
    this.rules = [];
    this.rule_list.replaceChildren();
    this.add_rule('Inbound', 'Custom_TCP', false);
    this.add_rule('Outbound', 'All', false);
    this.clear_errors();
  }

  async open() {
    try {
      const before = JSON.stringify(this.vpcs);
      this.vpcs = (await call('GET', '/vpc/list/')).data;
      // A form nobody wrote in yet offers the VPCs there are now.
      if (before !== JSON.stringify(this.vpcs) && this.name.value === '') this.reset();
    } catch { /* without the list a rule cannot name a VPC; all else works */ }
    this.dialog.showModal();
    this.name.focus();
  }

  add_rule(direction, protocol, with_focus) {
    const rule = new RuleForm({direction, protocol, vpcs: this.vpcs,
                               remove: (which) => this.remove_rule(which)});
    this.rules.push(rule);
    this.rule_list.append(rule.element);
    this.number_rules();
    if (with_focus) rule.direction.focus();
  }

  remove_rule(rule) {
    const at = this.rules.indexOf(rule);
    this.rules.splice(at, 1);
    rule.element.remove();
    this.number_rules();
    const neighbour = this.rules[Math.min(at, this.rules.length - 1)];
    (neighbour?.remove ?? this.submit_button).focus();
  }

  number_rules() {
    this.rules.forEach((rule, i) => { rule.number = i + 1; });
  }

  clear_errors() {
    this.summary.hidden = true;
    this.rules_error.textContent = '';
    for (const place of Object.values(this.fields)) mark_field(place, []);
    for (const rule of this.rules) rule.clear_errors();
  }

  async submit() {
    this.clear_errors();
    const body = {name: this.name.value, description: this.description.value,
                  default: this.is_default.checked, rules: this.rules.map((rule) => rule.to_json())};
    try {
      const {data, message} = await call('POST', '/security_group/', {body});
      this.dialog.close();
      this.created({id: data.id, name: body.name.trim(), message});
      this.reset();
    } catch (error) {
      this.show_errors(error);
    }
  }

  show_errors(error) {
    const items = [];
    for (const [name, reasons] of Object.entries(error.errors ?? {})) {
      const list = [reasons].flat().map(String);
      const control = this.place_errors(name, list);
      const text = `${label_of(name)}: ${list.join('; ')}`;
      items.push(element('li', {}, control
        ? element('button', {type: 'button', class: 'link', onclick: () => control.focus()}, text)
        : text));
    }
    const title = items.length === 0 ? error.message
      : `The node refuses the group: ${plural(items.length, 'problem')}.`;
    this.summary.replaceChildren(element('p', {}, title), element('ul', {}, items));
    this.summary.hidden = false;
    this.summary.focus();
  }

  // The control to go to, or null.
  place_errors(name, reasons) {
    const at = rule_place(name);
    const rule = at ? this.rules[at.index] : null;
    const place = rule ? rule.place_of(at.field) : this.fields[name];
    if (place) {
      mark_field(place, reasons);
      return place.querySelector('input, select');
    }
    if (rule) {
      rule.general_error.textContent += `${at.field} ${reasons.join('; ')} `;
      return rule.direction;
    }
    if (name === 'rules') this.rules_error.textContent = reasons.join('; ');
    return null;
  }
}

// "rules[2].port_range" as a person counts: "Rule 3, Port Range".
function label_of(name) {
  const labels = {port_range: 'Port Range', network: 'Network Type', network_cidr: 'First IP',
                  network_size: 'Size', protocol_name: 'Protocol', rule_type: 'Direction',
                  vpc_id: 'VPC', icmp_type: 'ICMP type', icmp_code: 'ICMP code', name: 'Name',
                  description: 'Description', rules: 'Rules'};
  const at = rule_place(name);
  if (!at) return labels[name] ?? name;
  return at.field ? `Rule ${at.index + 1}, ${labels[at.field] ?? at.field}` : `Rule ${at.index + 1}`;
}
