// SPDX-License-Identifier: Apache-2.0
//
// Attach and detach as an operator does them, and what others do in between.

import assert from 'node:assert/strict';
import {test} from 'node:test';
import {attach, attached_to, bed, card, cards, eventually, expect_accessible, kOutbound, make_group,
  make_lb, shot, with_tab} from './bed.mjs';

const kAttached = 'Security Group attached successfully';
const kDetached = 'Security Group detached successfully';

function open_selector(page) {
  return page.getByRole('button', {name: 'Attach Security Group'}).click();
}
function option(page, group) {
  return page.getByRole('checkbox', {name: new RegExp(`^${group.name}\\b`)});
}
function tick(page) {
  return page.getByRole('button', {name: 'Attach the selected security groups'});
}

// Attach requests that the page sends, as {headers, body}.
function watch_changes(page, verb) {
  const sent = [];
  page.on('request', (request) => {
    if (request.method() === 'POST' && request.url().endsWith(`/${verb}/`))
      sent.push({headers: request.headers(), body: request.postDataJSON()});
  });
  return sent;
}

test('attach: several groups, ✓, the message, the list, and it is one change in force', async () => {
  const lb = await make_lb();
  const [a, b, c] = [await make_group(), await make_group(), await make_group()];
  await with_tab(lb, async (page) => {
    const sent = watch_changes(page, 'attach');
    await open_selector(page);
    assert.ok(await page.getByRole('searchbox', {name: 'Filter security groups'})
      .evaluate((filter) => filter === document.activeElement));
    assert.equal(await tick(page).getAttribute('aria-disabled'), 'true');
    await option(page, a).check();
    await option(page, c).check();
    await page.getByText(/^2 of \d+ security groups selected/).waitFor();
    await expect_accessible(page, 'the selector');
    await shot(page, '10-selector');
    await tick(page).click();
    await page.getByRole('status').getByText(kAttached).waitFor();
    await card(page, a).waitFor();
    await card(page, c).waitFor();
    assert.deepEqual(await cards(page).allTextContents(), ['default', a.name, c.name]);
    assert.deepEqual(await attached_to(lb), [1, a.id, c.id]);
    assert.equal(sent.length, 1);
    assert.deepEqual(sent[0].body, {security_group_ids: [a.id, c.id]});
    assert.match(sent[0].headers['if-match'], /^"\d+"$/);
    assert.ok(await page.getByRole('button', {name: 'Attach Security Group'})
      .evaluate((button) => button === document.activeElement));
    await expect_accessible(page, 'the message');
    await shot(page, '11-attached');
    // What is attached is no longer offered.
    await open_selector(page);
    await option(page, b).waitFor();
    assert.equal(await option(page, a).count(), 0);
  });
});

test('attach: ✕ and Escape change nothing', async () => {
  const lb = await make_lb();
  const group = await make_group();
  await with_tab(lb, async (page) => {
    const sent = watch_changes(page, 'attach');
    for (const leave of [() => page.locator('.attach').getByRole('button', {name: 'Cancel'})
      .filter({visible: true}).click(), () => page.keyboard.press('Escape')]) {
      await open_selector(page);
      await option(page, group).check();
      await leave();
      await option(page, group).waitFor({state: 'hidden'});
    }
    // What was chosen before ✕ is forgotten.
    await open_selector(page);
    assert.ok(!(await option(page, group).isChecked()));
    assert.deepEqual(await attached_to(lb), [1]);
    assert.equal(sent.length, 0);
  });
});

test('attach: the filter finds by name and description, and keeps what is chosen', async () => {
  const lb = await make_lb();
  const one = await make_group({}, {name: 'needle-one'});
  const two = await make_group({}, {name: 'hay', description: 'with a NEEDLE in it'});
  const three = await make_group({}, {name: 'straw'});
  await with_tab(lb, async (page) => {
    await open_selector(page);
    await option(page, three).check();
    await page.getByRole('searchbox', {name: 'Filter security groups'}).fill('needle');
    await option(page, three).waitFor({state: 'detached'});
    assert.equal(await page.getByRole('checkbox').count(), 2);
    await option(page, one).check();
    await option(page, two).check();
    await page.getByText(/^3 of \d+ security groups selected/).waitFor();
    await page.keyboard.press('Enter');
    await page.getByRole('status').getByText(kAttached).waitFor();
    assert.deepEqual((await attached_to(lb)).sort(), [1, one.id, two.id, three.id].sort());
  });
});

test('attach: a slow node shows that it works, and a second press is not heard', async () => {
  const lb = await make_lb();
  const group = await make_group();
  await with_tab(lb, async (page) => {
    const sent = watch_changes(page, 'attach');
    let let_go = null;
    const held = new Promise((resolve) => { let_go = resolve; });
    await page.route('**/attach/', async (route) => {
      await held;
      await route.continue();
    });
    await open_selector(page);
    await option(page, group).check();
    await tick(page).click();
    await eventually(async () => (await tick(page).getAttribute('aria-busy')) === 'true', 'busy');
    await tick(page).click({force: true});
    await tick(page).press('Enter');
    let_go();
    await page.getByRole('status').getByText(kAttached).waitFor();
    assert.equal(sent.length, 1);
  });
});

test('detach: asks first, says what becomes of live connections, then the group is gone', async () => {
  const lb = await make_lb();
  const group = await make_group();
  await attach(lb, group);
  await with_tab(lb, async (page) => {
    const sent = watch_changes(page, 'detach');
    const button = card(page, group).getByRole('button', {name: `Detach ${group.name}`});
    const dialog = page.getByRole('dialog', {name: `Detach ${group.name}?`});
    await button.click();
    await dialog.waitFor();
    await expect_accessible(page, 'the question before a detach');
    await shot(page, '12-detach');
    await dialog.getByRole('button', {name: 'Cancel'}).click();
    await dialog.waitFor({state: 'hidden'});
    assert.ok(await button.evaluate((element) => element === document.activeElement));
    assert.deepEqual(await attached_to(lb), [1, group.id]);
    await button.click();
    await dialog.getByLabel('Go on for a while, then end').check();
    await dialog.getByLabel('Seconds').fill('120');
    await dialog.getByRole('button', {name: 'Detach'}).click();
    await page.getByRole('status').getByText(kDetached).waitFor();
    await card(page, group).waitFor({state: 'detached'});
    assert.deepEqual(await attached_to(lb), [1]);
    assert.deepEqual(sent.map(({body}) => body),
      [{security_group_ids: [group.id], flows: 'drain:120'}]);
    assert.ok(await page.getByRole('heading', {name: 'Attached security groups'})
      .evaluate((title) => title === document.activeElement), 'the focus is not lost');
    await shot(page, '13-detached');
  });
});

// What another does after the page was read and before its change arrives.
async function meanwhile(page, verb, other) {
  let is_done = false;
  await page.route(`**/${verb}/`, async (route) => {
    if (!is_done && route.request().method() === 'POST') {
      is_done = true;
      await other();
    }
    await route.continue();
  });
}

test('a group that changed while it was chosen is not attached unseen', async () => {
  const lb = await make_lb();
  const group = await make_group();
  await with_tab(lb, async (page) => {
    await meanwhile(page, 'attach', () => bed.daemon.made('PUT', `/security_group/${group.id}/`, {
      name: group.name, description: 'now open to all',
      rules: [{rule_type: 'Inbound', protocol_name: 'All', network: 'any'}, kOutbound]}));
    await open_selector(page);
    await option(page, group).check();
    await tick(page).click();
    await page.getByRole('alert').getByText(/changed while you decided.*loaded again/).waitFor();
    assert.deepEqual(await attached_to(lb), [1]);
    await expect_accessible(page, 'a refused change');
    await shot(page, '14-changed-meanwhile');
    await option(page, group).locator('xpath=..').getByText('ALLOW ALL').waitFor();
    await tick(page).click();
    await page.getByRole('status').getByText(kAttached).waitFor();
  });
});

test('a change elsewhere on the node does not hinder', async () => {
  const lb = await make_lb();
  const group = await make_group();
  await with_tab(lb, async (page) => {
    const sent = watch_changes(page, 'attach');
    await meanwhile(page, 'attach', () => make_lb());
    await open_selector(page);
    await option(page, group).check();
    await tick(page).click();
    await page.getByRole('status').getByText(kAttached).waitFor();
    assert.equal(sent.length, 2, 'asked again with the new generation');
    assert.deepEqual(await attached_to(lb), [1, group.id]);
  });
});

test('a status that changes in between is told in the words of the node', async () => {
  const lb = await make_lb();
  const group = await make_group();
  await attach(lb, group);
  await with_tab(lb, async (page) => {
    await meanwhile(page, 'detach', () => bed.daemon.made('PUT', `/appliances/${lb.id}/status/`,
      {status: 'Upgrading'}));
    await card(page, group).getByRole('button', {name: `Detach ${group.name}`}).click();
    await page.getByRole('dialog').getByRole('button', {name: 'Detach'}).click();
    await page.getByRole('heading', {name: 'Upgrading: not available now'}).waitFor();
    await page.getByRole('dialog').waitFor({state: 'hidden'});
    assert.equal((await bed.daemon.made('GET', `/appliances/${lb.id}/`)).security_groups.length, 2);
  });
});

test('what the node refuses stands there with its reasons', async () => {
  const lb = await make_lb();
  const group = await make_group();
  await with_tab(lb, async (page) => {
    await page.route('**/attach/', (route) => route.fulfill({
      status: 422, contentType: 'application/json', body: JSON.stringify({code: 422, data: null,
        errors: {security_group_ids: ['the table would need 9 GiB']},
        message: 'The rules cannot be compiled.'})}));
    await open_selector(page);
    await option(page, group).check();
    await tick(page).click();
    const alert = page.getByRole('alert');
    await alert.getByText('The rules cannot be compiled.').waitFor();
    await alert.getByText('the table would need 9 GiB').waitFor();
    assert.ok(await option(page, group).isChecked(), 'the choice is still there');
    await alert.getByRole('button', {name: 'Dismiss this message'}).click();
    await alert.getByText('The rules').waitFor({state: 'detached'});
  });
});
