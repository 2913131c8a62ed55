// SPDX-License-Identifier: Apache-2.0
//
// The fields of one rule in the create form. Fields that a rule of this kind does not have are
// out of the way; what counts is judged by the node, which names the field.

import {element} from './dom.js';
import {format_range, range_of} from './ranges.js';

const kProtocols = ['All', 'All_TCP', 'All_UDP', 'Custom_TCP', 'Custom_UDP', 'ICMP', 'ICMPv6',
  'SCTP'];
const kWithPorts = ['Custom_TCP', 'Custom_UDP', 'SCTP'];
const kWithTypes = ['ICMP', 'ICMPv6'];
const kOther = 'other';
const kNetworks = [['any', 'any'], ['manual', 'manual'], ['myNetwork', 'myNetwork (a VPC)']];

let next_number = 1;

// A labelled control with a place for what is wrong with it. name: the API's field.
export function field(name, label, control, hint = '') {
  control.id = `field-${next_number++}`;
  const error = element('p', {class: 'error', id: `${control.id}-error`});
  const hint_place = hint ? element('p', {class: 'hint', id: `${control.id}-hint`}, hint) : null;
  if (hint_place) control.setAttribute('aria-describedby', hint_place.id);
  return element('div', {class: 'field', 'data-name': name},
    element('label', {for: control.id}, label), control, hint_place, error);
}

// reasons: a list; empty: nothing is wrong any more.
export function mark_field(place, reasons) {
  const error = place.querySelector('.error'), hint = place.querySelector('.hint');
  const control = place.querySelector('input, select, textarea');
  error.textContent = reasons.join('; ');
  control.toggleAttribute('aria-invalid', false);
  if (reasons.length > 0) control.setAttribute('aria-invalid', 'true');
  const told_by = [hint?.id, reasons.length > 0 ? error.id : null].filter(Boolean).join(' ');
  if (told_by) control.setAttribute('aria-describedby', told_by);
  else control.removeAttribute('aria-describedby');
}

function select(options, chosen) {
  return element('select', {}, options.map(([value, label]) =>
    element('option', {value, selected: value === chosen}, label)));
}

function text_input(attributes = {}) {
  return element('input', {type: 'text', autocomplete: 'off', spellcheck: 'false', ...attributes});
}

export class RuleForm {
  // vpcs: [{vpc_id, vpc_name, cidrs}]; remove(this): asked for.
  constructor({direction, protocol, vpcs, remove}) {
    const number = {inputmode: 'numeric', class: 'short'};
    this.direction = select([['Inbound', 'Inbound'], ['Outbound', 'Outbound']], direction);
    this.protocol = select([...kProtocols.map((name) => [name, name]),
      [kOther, 'Other: name or number']], protocol);
    this.other = text_input({placeholder: 'ESP or 50'});
    this.ports = text_input({placeholder: '443 or 8000-9000, or All'});
    this.icmp_type = text_input({...number, placeholder: 'any'});
    this.icmp_code = text_input({...number, placeholder: 'any'});
    this.network = select(kNetworks, 'any');
    this.first_ip = text_input({placeholder: '10.0.0.0, fd00::1, or a CIDR'});
    this.size = text_input({...number, placeholder: '256'});
    this.vpc = select([['', vpcs.length ? 'Choose a VPC' : 'No VPC is known to this node'],
      ...vpcs.map((vpc) => [`vpc_${vpc.vpc_id}`,
        `${vpc.vpc_name} (${vpc.cidrs.join(', ')})`])], '');
    this.description = text_input();
    this.range = element('output', {class: 'range'});
    this.legend = element('legend');
    this.general_error = element('p', {class: 'error'});
    this.fields = {
      rule_type: field('rule_type', 'Direction', this.direction),
      protocol_name: field('protocol_name', 'Protocol', this.protocol),
      other: field('other', 'Protocol name or number', this.other),
      port_range: field('port_range', 'Port Range', this.ports),
      icmp_type: field('icmp_type', 'ICMP type', this.icmp_type),
      icmp_code: field('icmp_code', 'ICMP code', this.icmp_code),
      network: field('network', 'Network Type', this.network),
      network_cidr: field('network_cidr', 'First IP', this.first_ip),
      network_size: field('network_size', 'Size', this.size),
      vpc_id: field('vpc_id', 'VPC', this.vpc),
      description: field('description', 'Description (optional)', this.description),
    };
    this.remove = element('button', {type: 'button', class: 'quiet', onclick: () => remove(this)},
      'Remove');
    this.element = element('fieldset', {class: 'rule'}, this.legend,
      element('div', {class: 'rule-fields'}, Object.values(this.fields),
        element('div', {class: 'field result'}, this.range), this.remove),
      this.general_error);
    for (const control of [this.protocol, this.network])
      control.addEventListener('change', () => this.show_fields());
    for (const control of [this.first_ip, this.size])
      control.addEventListener('input', () => this.show_range());
    this.show_fields();
  }

  set number(number) {
    this.legend.textContent = `Rule ${number}`;
    this.remove.setAttribute('aria-label', `Remove rule ${number}`);
  }

  get protocol_name() {
    return this.protocol.value === kOther ? this.other.value.trim() : this.protocol.value;
  }

  show_fields() {
    const shown = {
      other: this.protocol.value === kOther,
      port_range: kWithPorts.includes(this.protocol.value),
      icmp_type: kWithTypes.includes(this.protocol.value),
      icmp_code: kWithTypes.includes(this.protocol.value),
      network_cidr: this.network.value === 'manual',
      network_size: this.network.value === 'manual',
      vpc_id: this.network.value === 'myNetwork',
    };
    for (const [name, is_shown] of Object.entries(shown)) this.fields[name].hidden = !is_shown;
    this.show_range();
  }

  show_range() {
    const range = this.network.value === 'manual'
      ? range_of(this.first_ip.value, this.size.value) : null;
    this.range.textContent = range ? `= ${format_range(range)}` : '';
  }

  // As POST /security_group/ takes it; only fields that a rule of this kind has.
  to_json() {
    const rule = {rule_type: this.direction.value, protocol_name: this.protocol_name,
                  network: this.network.value, description: this.description.value};
    const is_shown = (name) => !this.fields[name].hidden;
    const number = (text) => (/^[0-9]{1,15}$/.test(text.trim()) ? Number(text.trim()) : text.trim());
    if (is_shown('port_range')) rule.port_range = this.ports.value;
    for (const [name, control] of [['icmp_type', this.icmp_type], ['icmp_code', this.icmp_code]])
      if (is_shown(name) && control.value.trim() !== '') rule[name] = number(control.value);
    if (is_shown('network_cidr')) {
      rule.network_cidr = this.first_ip.value.trim();
      if (this.size.value.trim() !== '') rule.network_size = number(this.size.value);
    }
    if (is_shown('vpc_id')) rule.vpc_id = this.vpc.value;
    return rule;
  }

  // The place of a field by the API's name; null: it has none that is shown.
  place_of(name) {
    if (name === 'protocol_name' && this.protocol.value === kOther) return this.fields.other;
    const place = this.fields[name];
    return place && !place.hidden ? place : null;
  }

  clear_errors() {
    for (const place of Object.values(this.fields)) mark_field(place, []);
    this.general_error.textContent = '';
  }
}
