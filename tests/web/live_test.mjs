// SPDX-License-Identifier: Apache-2.0
//
// Changes made elsewhere, the keyboard alone, tokens, and a node that goes away.

import assert from 'node:assert/strict';
import {test} from 'node:test';
import {attach, attached_to, bed, card, cards, eventually, expect_accessible, make_group, make_lb,
  shot, with_tab} from './bed.mjs';

function live_state(page) {
  return page.locator('#live').textContent();
}

test('live: what sluicectl changes shows without a reload, and the focus stays', async () => {
  const lb = await make_lb();
  const group = await make_group();
  await with_tab(lb, async (page) => {
    await eventually(async () => (await live_state(page)) === 'live', 'the event stream is open');
    const fold = card(page, {name: 'default'}).getByRole('button', {name: 'Rules of default'});
    await fold.click();
    await page.evaluate(() => { globalThis.not_reloaded = true; });
    await bed.daemon.ctl('attach', lb.name, group.name);
    await card(page, group).waitFor({timeout: 1500});
    const {generation} = await bed.daemon.made('GET', `/appliances/${lb.id}/security_group/`);
    await page.getByText(`Generation ${generation.toLocaleString('en')} in force`).waitFor();
    assert.ok(await fold.evaluate((button) => button === document.activeElement), 'the focus');
    assert.equal(await fold.getAttribute('aria-expanded'), 'false', 'what was folded stays so');
    await bed.daemon.ctl('detach', '--force', lb.name, group.name);
    await card(page, group).waitFor({state: 'detached', timeout: 1500});
    assert.ok(await page.evaluate(() => globalThis.not_reloaded));
    await shot(page, '30-live');
  });
});

test('live: an open selector follows, and what is chosen stays chosen', async () => {
  const lb = await make_lb();
  const chosen = await make_group();
  const other = await make_group();
  await with_tab(lb, async (page) => {
    await page.getByRole('button', {name: 'Attach Security Group'}).click();
    const box = page.getByRole('checkbox', {name: new RegExp(`^${chosen.name}\\b`)});
    await box.check();
    await box.focus();
    const late = await make_group();
    await attach(lb, other);
    await page.getByRole('checkbox', {name: new RegExp(`^${late.name}\\b`)}).waitFor();
    await page.getByRole('checkbox', {name: new RegExp(`^${other.name}\\b`)})
      .waitFor({state: 'detached'});
    assert.ok(await box.isChecked());
    assert.ok(await box.evaluate((input) => input === document.activeElement));
  });
});

test('live: without an event stream the page asks every few seconds', async () => {
  const lb = await make_lb();
  const group = await make_group();
  await with_tab(lb, async (page) => {
    await card(page, {name: 'default'}).waitFor();
    await eventually(async () => (await live_state(page)) === 'polling', 'polling');
    await attach(lb, group);
    await card(page, group).waitFor();
  }, {prepare: (page) => page.route('**/events/', (route) => route.abort())});
});

// Presses Tab until `locator` has the focus.
async function tab_to(page, locator, presses_max = 60, key = 'Tab') {
  for (let i = 0; i < presses_max; ++i) {
    if (await locator.evaluateAll((all) => all.some((one) => one === document.activeElement)))
      return;
    await page.keyboard.press(key);
  }
  assert.fail(`not reached by ${key}: ${locator}`);
}

test('keyboard: find, review, attach and detach without a mouse', async () => {
  const lb = await make_lb();
  const [a, b] = [await make_group(), await make_group()];
  await with_tab(null, async (page) => {
    await tab_to(page, page.getByRole('searchbox', {name: /Search by name/}));
    await page.keyboard.type(lb.name);
    const link = page.getByRole('link', {name: new RegExp(lb.name)});
    await eventually(async () => (await page.locator('#balancers a').count()) === 1, 'found');
    await tab_to(page, link);
    assert.notEqual(await link.evaluate((element) => getComputedStyle(element).outlineStyle), 'none',
      'the focus is visible');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', {level: 1, name: lb.name}).waitFor();
    const open = page.getByRole('button', {name: 'Attach Security Group'});
    await open.waitFor();
    await tab_to(page, open);
    await page.keyboard.press('Enter');
    for (const group of [a, b]) {
      await tab_to(page, page.getByRole('checkbox', {name: new RegExp(`^${group.name}\\b`)}), 200);
      await page.keyboard.press('Space');
    }
    await tab_to(page, page.getByRole('button', {name: 'Attach the selected security groups'}), 200,
      'Shift+Tab');
    await page.keyboard.press('Enter');
    await page.getByRole('status').getByText('Security Group attached successfully').waitFor();
    assert.deepEqual(await attached_to(lb), [1, a.id, b.id]);
    await tab_to(page, card(page, a).getByRole('button', {name: `Detach ${a.name}`}));
    await page.keyboard.press('Enter');
    const dialog = page.getByRole('dialog', {name: `Detach ${a.name}?`});
    await dialog.waitFor();
    // The dialog keeps the focus, and Escape leaves it.
    for (let i = 0; i < 8; ++i) {
      assert.ok(await dialog.evaluate((element) => element.contains(document.activeElement) ||
        document.activeElement === document.body), 'the focus is in the dialog');
      await page.keyboard.press('Tab');
    }
    await page.keyboard.press('Escape');
    await dialog.waitFor({state: 'hidden'});
    await page.keyboard.press('Enter');
    await tab_to(page, dialog.getByRole('button', {name: 'Detach'}));
    await page.keyboard.press('Enter');
    await page.getByRole('status').getByText('Security Group detached successfully').waitFor();
    assert.deepEqual(await attached_to(lb), [1, b.id]);
    assert.deepEqual(await cards(page).allTextContents(), ['default', b.name]);
  });
});

test('token: asked for once, sent with every call, forgotten on demand', async () => {
  const lb = await make_lb();
  const guard = async (page) => page.route('**/myaccount/**', (route) => {
    const {authorization, ...headers} = route.request().headers();
    // The daemon behind knows no tokens.
    if (authorization === 'Bearer right') return route.continue({headers});
    return route.fulfill({status: 401, contentType: 'application/json', body: JSON.stringify(
      {code: 401, data: null, errors: {}, message: 'The token is not known.'})});
  });
  await with_tab(lb, async (page) => {
    const dialog = page.getByRole('dialog', {name: 'This node asks for a token'});
    await dialog.waitFor();
    await expect_accessible(page, 'the question for a token');
    await dialog.getByLabel('Token').fill('wrong');
    await page.keyboard.press('Enter');
    await dialog.getByText('The token is not known.').waitFor();
    await shot(page, '31-token');
    await dialog.getByLabel('Token').fill('right');
    await page.keyboard.press('Enter');
    await card(page, {name: 'default'}).waitFor();
    await eventually(async () => (await live_state(page)) === 'live', 'the stream has it too');
    await page.reload();
    await card(page, {name: 'default'}).waitFor();
    await page.getByRole('button', {name: 'Forget token'}).click();
    await dialog.waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  }, {prepare: guard});
});

test('a node that stops is told of, and the page goes on when it is back', async () => {
  const lb = await make_lb();
  await with_tab(lb, async (page) => {
    await card(page, {name: 'default'}).waitFor();
    await bed.daemon.halt();
    await eventually(async () => (await live_state(page)) === 'offline', 'offline');
    await expect_accessible(page, 'offline');
    await bed.daemon.run();
    await eventually(async () => ['live', 'polling'].includes(await live_state(page)), 'back');
    const group = await make_group();
    await attach(lb, group);
    await card(page, group).waitFor();
    assert.equal((await attached_to(lb)).length, 2);
  });
});
