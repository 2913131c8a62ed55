// SPDX-License-Identifier: Apache-2.0
//
// The list of load balancers: searched and paged by the node, so that ten thousand are no more
// than ten.

import {call} from './api.js';
import {element, plural, reconcile} from './dom.js';

const kPerPage = 50;
const kSearchDelayMs = 200;

export function status_pill(status) {
  return element('span', {class: 'status', 'data-status': status}, status);
}

export class Balancers {
  constructor() {
    this.list = document.getElementById('balancers');
    this.count = document.getElementById('balancers-count');
    this.pager = document.getElementById('pager');
    this.search = document.getElementById('search-text');
    this.page = 1;
    this.selected = null;
    this.items = [];
    this.asked = null;  // aborts the question under way
    let timer = null;
    this.search.addEventListener('input', () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.go(1), kSearchDelayMs);
    });
    document.getElementById('search').addEventListener('submit', (event) => {
      event.preventDefault();
      clearTimeout(timer);
      void this.go(1);
    });
    this.build_pager();
  }

  build_pager() {
    const button = (label, sign, target) => element('button', {
      type: 'button', class: 'icon', 'aria-label': label,
      onclick: (event) => {
        if (event.currentTarget.getAttribute('aria-disabled') !== 'true') void this.go(target());
      },
    }, element('span', {'aria-hidden': 'true'}, sign));
    this.first = button('First page', '«', () => 1);
    this.previous = button('Previous page', '‹', () => this.page - 1);
    this.next = button('Next page', '›', () => this.page + 1);
    this.last = button('Last page', '»', () => this.pages);
    this.place = element('span', {});
    this.pager.append(this.first, this.previous, this.place, this.next, this.last);
  }

  async go(page) {
    this.page = page;
    await this.refresh();
    this.list.scrollTop = 0;
  }

  select(id) {
    this.selected = id;
    this.render();
  }

  async refresh() {
    this.asked?.abort();
    const asked = this.asked = new AbortController();
    this.list.setAttribute('aria-busy', 'true');
    try {
      const query = new URLSearchParams({page_no: this.page, per_page: kPerPage});
      const text = this.search.value.trim();
      if (text) query.set('search', text);
      const {body} = await call('GET', `/appliances/?${query}`, {signal: asked.signal});
      if (asked.signal.aborted) return;
      this.items = body.data;
      this.pages = body.total_page_number;
      this.total = body.total_count;
      if (this.page > this.pages) {
        this.page = this.pages;
        return void this.refresh();
      }
      this.render();
      this.tell(text);
    } catch (error) {
      if (asked.signal.aborted) return;
      this.count.textContent = error.message;
    } finally {
      if (this.asked === asked) this.list.removeAttribute('aria-busy');
    }
  }

  tell(text) {
    const from = (this.page - 1) * kPerPage + 1;
    const range = this.pages > 1
      ? `${from.toLocaleString('en')}–${(from + this.items.length - 1).toLocaleString('en')} of ` : '';
    const what = text ? ` found for “${text}”` : '';
    const told = this.total === 0 && !text ? 'No load balancers are registered on this node.'
      : `${range}${plural(this.total, 'load balancer')}${what}`;
    if (this.count.textContent !== told) this.count.textContent = told;
    this.pager.hidden = this.pages <= 1;
    this.place.textContent = `Page ${this.page} of ${this.pages}`;
    for (const [button, is_end] of [[this.first, this.page <= 1], [this.previous, this.page <= 1],
      [this.next, this.page >= this.pages], [this.last, this.page >= this.pages]])
      button.setAttribute('aria-disabled', String(is_end));
  }

  render() {
    reconcile(this.list, this.items.map((lb) => ({
      key: lb.id,
      signature: [lb.appliance_name, lb.status, lb.addresses[0], lb.id === this.selected].join(),
      build: () => this.build_item(lb),
    })));
  }

  build_item(lb) {
    const more = lb.addresses.length > 1 ? ` +${lb.addresses.length - 1}` : '';
    return element('li', {},
      element('a', {
        href: `#/lb/${lb.id}`, 'data-focus': lb.id,
        'aria-current': lb.id === this.selected ? 'page' : null,
      },
      element('span', {class: 'name'}, lb.appliance_name),
      element('span', {class: 'address'}, `${lb.addresses[0] ?? ''}${more}`),
      status_pill(lb.status)));
  }
}
