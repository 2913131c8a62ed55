// SPDX-License-Identifier: Apache-2.0
//
// One daemon and one browser for all tests of the tab. Each test makes its own load balancer and
// groups, so their order does not matter.

import assert from 'node:assert/strict';
import {createRequire} from 'node:module';
import {mkdir, readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {after, before} from 'node:test';
import {chromium} from 'playwright-core';
import {Daemon} from './daemon.mjs';

const bin = process.env.SLUICE_BIN ?? 'build/release';
const shots = process.env.SLUICE_SCREENSHOTS ?? join(bin, 'screenshots');
const axe_path = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

export const bed = {daemon: null, browser: null};
let number = 0;

before(async () => {
  await mkdir(shots, {recursive: true});
  bed.daemon = await Daemon.start({bin, log: join(shots, 'sluiced.log')});
  bed.browser = await chromium.launch({
    executablePath: process.env.SLUICE_CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  });
});
after(async () => {
  await bed.browser?.close();
  await bed.daemon?.stop();
});

export async function make_lb(fields = {}) {
  ++number;
  const name = `lb-${String(number).padStart(4, '0')}`;
  const {id} = await bed.daemon.made('POST', '/appliances/load-balancers/', {
    lb_name: name, status: 'Running',
    addresses: [`203.0.${number >> 8}.${number & 255}`, `2001:db8::${number.toString(16)}`],
    ...fields,
  });
  return {id, name: fields.lb_name ?? name};
}

export const kOutbound = {rule_type: 'Outbound', protocol_name: 'All', network: 'any'};

export async function make_group(inbound = {}, fields = {}) {
  const name = fields.name ?? `group-${++number}`;
  const {id} = await bed.daemon.made('POST', '/security_group/', {
    description: '', name,
    rules: [{rule_type: 'Inbound', protocol_name: 'Custom_TCP', port_range: '8080',
             network: 'any', ...inbound}, kOutbound],
    ...fields,
  });
  return {id, name};
}

export function attach(lb, ...groups) {
  return bed.daemon.made('POST', `/security_group/${lb.id}/attach/`,
    {security_group_ids: groups.map((group) => group.id)});
}

// The ids of what the node says is attached.
export async function attached_to(lb) {
  return (await bed.daemon.made('GET', `/security_group/${lb.id}/attach/`)).map(({id}) => id);
}

// A page at the tab of `lb`, as body(page) wants it. Fails if the page threw, or did what its
// content policy forbids.
export async function with_tab(lb, body, options = {}) {
  const context = await bed.browser.newContext({
    viewport: {width: 1440, height: 900}, colorScheme: 'light', ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => {
    if (/Content.Security.Policy|Trusted/i.test(message.text())) faults.push(message.text());
  });
  page.on('dialog', (dialog) => faults.push(`a dialog: ${dialog.message()}`));
  try {
    if (options.prepare) await options.prepare(page);
    await page.goto(lb ? `${bed.daemon.url}/#/lb/${lb.id}` : `${bed.daemon.url}/`);
    if (lb && !options.prepare) {
      await page.getByRole('heading', {level: 1, name: lb.name}).waitFor();
      await page.getByRole('heading', {level: 2, name: 'Security Group'}).waitFor();
    }
    await body(page);
    assert.deepEqual(faults, []);
  } catch (error) {
    await page.screenshot({path: join(shots, 'failed.png')}).catch(() => {});
    throw error;
  } finally {
    await context.close();
  }
}

export async function shot(page, name) {
  await page.screenshot({path: join(shots, `${name}.png`)});
}

// No violation that axe knows of, WCAG 2.2 AA and its best practices.
export async function expect_accessible(page, what) {
  await page.evaluate(await axe_source());
  const {violations} = await page.evaluate(() => globalThis.axe.run(document, {
    resultTypes: ['violations'],
  }));
  const told = violations.map(({id, help, nodes}) =>
    `${id}: ${help}\n  ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join('\n  ')}`);
  assert.equal(told.length, 0, `${what}:\n${told.join('\n')}`);
}

let source = null;
async function axe_source() {
  source ??= await readFile(axe_path, 'utf8');
  return source;
}

// The cards of attached groups, by name, in order.
export function cards(page) {
  return page.getByRole('article').getByRole('heading', {level: 4});
}
export function card(page, group) {
  return page.getByRole('article', {name: group.name, exact: true});
}

// Repeats until it holds, for what changes by itself.
export async function eventually(check, what, timeout_ms = 10_000) {
  const deadline = Date.now() + timeout_ms;
  for (;;) {
    if (await check()) return;
    assert.ok(Date.now() < deadline, what);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
