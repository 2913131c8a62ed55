// SPDX-License-Identifier: Apache-2.0
//
// One security group as the tab shows it: badges, inbound and outbound rules in five columns.

import {element, plural} from './dom.js';
import {allows_all, format_range, range_of} from './ranges.js';

const kRowsShown = 100;
const kColumns = ['Protocol', 'Port Range', 'Network Type', 'First IP', 'Size'];

// '' | 'in' | 'in and out': what of all traffic the group lets through. Outbound alone is usual and
// no alarm.
export function all_traffic_of(group, vpcs) {
  const inbound = allows_all(group, 'Inbound', vpcs), outbound = allows_all(group, 'Outbound', vpcs);
  if (inbound || group.is_all_traffic_rule) return outbound ? 'in and out' : 'in';
  return '';
}

export function badges_of(group, vpcs) {
  const all = all_traffic_of(group, vpcs);
  return [
    group.is_lb_default ? element('span', {class: 'badge default'}, 'default') : null,
    all ? element('span', {class: 'badge alarm', title: `${group.name} lets all traffic ${all}`},
      'ALLOW ALL') : null,
  ];
}

export function rule_counts(group) {
  const inbound = group.rules.filter((rule) => rule.rule_type === 'Inbound').length;
  return `${inbound} inbound, ${plural(group.rules.length - inbound, 'outbound rule')}`;
}

// The addresses a rule's network means, for people.
function range_text(rule, vpcs) {
  if (rule.network === 'any') return 'any address';
  if (rule.network === 'myNetwork') return (vpcs.get(rule.vpc_id) ?? []).join(', ');
  const range = range_of(rule.network_cidr, rule.network_size);
  return range ? format_range(range) : '';
}

function ports_text(rule) {
  if (rule.icmp_type === null || rule.icmp_type === undefined) return rule.port_range;
  return rule.icmp_code === null || rule.icmp_code === undefined ? `type ${rule.icmp_type}`
    : `type ${rule.icmp_type}, code ${rule.icmp_code}`;
}

function rule_row(rule, vpcs) {
  const network = rule.network === 'myNetwork' ? `myNetwork (${rule.vpc_id})` : rule.network;
  return element('tr', {},
    element('td', {}, rule.protocol_name,
      rule.description ? element('span', {class: 'note'}, rule.description) : null),
    element('td', {class: 'ports'}, ports_text(rule)),
    element('td', {}, network),
    element('td', {class: 'address'}, rule.network_cidr),
    element('td', {}, element('span', {class: 'size'}, String(rule.network_size)),
      element('span', {class: 'range'}, range_text(rule, vpcs))));
}

// A table grows by pages: a group may have 100,000 rules.
function rules_table(group, direction, vpcs, shown) {
  const rules = group.rules.filter((rule) => rule.rule_type === direction);
  const key = `${group.id} ${direction}`;
  const body = element('tbody');
  const more = element('button', {type: 'button', class: 'quiet more', hidden: true});
  const fill = () => {
    const limit = shown.get(key) ?? kRowsShown;
    for (const rule of rules.slice(body.childElementCount, limit)) body.append(rule_row(rule, vpcs));
    more.hidden = rules.length <= limit;
    more.textContent = `Show more of the ${plural(rules.length - limit, 'further rule')}`;
  };
  more.addEventListener('click', () => {
    shown.set(key, (shown.get(key) ?? kRowsShown) * 5);
    fill();
  });
  fill();
  return element('div', {class: 'rules'},
    element('div', {class: 'scroll', tabindex: '0', role: 'region',
                    'aria-label': `${direction} rules of ${group.name}`},
    element('table', {},
      element('caption', {}, `${direction} rules `,
        element('span', {class: 'count'}, `(${rules.length.toLocaleString('en')})`)),
      element('thead', {}, element('tr', {},
        kColumns.map((column) => element('th', {scope: 'col'}, column)))),
      body)),
    more);
}

// The card of an attached group. folds: Map of group id to is-folded, shown: Map of rows to show;
// both outlive the card. detach(group): asked for.
export function attached_group(group, {vpcs, folds, shown, detach}) {
  const title_id = `group-${group.id}`, body_id = `rules-${group.id}`, why_id = `why-${group.id}`;
  const body = element('div', {id: body_id, class: 'tables'});
  const fold = element('button', {
    type: 'button', class: 'icon fold', 'aria-controls': body_id, 'data-focus': `fold ${group.id}`,
    'aria-label': `Rules of ${group.name}`,
  }, element('span', {'aria-hidden': 'true'}, '▾'));
  const apply_fold = () => {
    const is_folded = folds.get(group.id) === true;
    fold.setAttribute('aria-expanded', String(!is_folded));
    body.hidden = is_folded;
    if (!is_folded && body.childElementCount === 0)
      body.append(rules_table(group, 'Inbound', vpcs, shown),
        rules_table(group, 'Outbound', vpcs, shown));
  };
  fold.addEventListener('click', () => {
    folds.set(group.id, folds.get(group.id) !== true);
    apply_fold();
  });
  apply_fold();
  return element('article', {class: 'group', 'aria-labelledby': title_id},
    element('header', {},
      fold,
      element('h4', {id: title_id}, group.name),
      badges_of(group, vpcs),
      element('span', {class: 'count'}, rule_counts(group)),
      element('span', {class: 'fill'}),
      group.is_lb_default
        ? element('span', {class: 'why', id: why_id}, 'the default group cannot be detached') : null,
      element('button', {
        type: 'button', class: 'detach', 'aria-label': `Detach ${group.name}`,
        'aria-describedby': group.is_lb_default ? why_id : null,
        'data-focus': `detach ${group.id}`, disabled: group.is_lb_default,
        onclick: () => detach(group),
      }, 'Detach')),
    group.description ? element('p', {class: 'description'}, group.description) : null,
    body);
}
