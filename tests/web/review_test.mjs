// SPDX-License-Identifier: Apache-2.0
//
// What the tab shows: the list of load balancers, the statuses, rules in five columns, badges.

import assert from 'node:assert/strict';
import {test} from 'node:test';
import {attach, bed, card, cards, eventually, expect_accessible, kOutbound, make_group, make_lb, shot,
  with_tab} from './bed.mjs';

const kColumns = ['Protocol', 'Port Range', 'Network Type', 'First IP', 'Size'];

// The rows of a table as lists of texts.
function rows(page, group, direction) {
  return page.getByRole('region', {name: `${direction} rules of ${group.name}`, exact: true})
    .locator('tbody tr').evaluateAll((trs) => trs.map((tr) =>
      [...tr.cells].map((cell) => [...cell.childNodes].map((node) => node.textContent).join('|'))));
}

test('review: inbound and outbound rules stand in the five columns, with the resulting range',
  async () => {
    const lb = await make_lb();
    const vpc = await bed.daemon.made('POST', '/vpc/',
      {vpc_name: 'prod', cidrs: ['10.8.0.0/16', 'fd00:8::/48']});
    const group = await make_group({}, {name: 'office-vpn', description: 'Office and VPN', rules: [
      {rule_type: 'Inbound', protocol_name: 'Custom_TCP', port_range: '8443,443', network: 'manual',
       network_cidr: '198.51.100.16', network_size: 10, description: 'the office'},
      {rule_type: 'Inbound', protocol_name: 'ICMP', icmp_type: 8, icmp_code: 0,
       network: '10.0.0.0/8'},
      {rule_type: 'Inbound', protocol_name: 'Custom_UDP', port_range: '4500', network: 'fd00::/48'},
      {rule_type: 'Inbound', protocol_name: 'ESP', network: 'any'},
      {rule_type: 'Outbound', protocol_name: 'Custom_TCP', port_range: '8080-8090',
       network: 'myNetwork', vpc_id: `vpc_${vpc.vpc_id}`},
    ]});
    await attach(lb, group);
    await with_tab(lb, async (page) => {
      const place = card(page, group);
      await place.waitFor();
      for (const direction of ['Inbound', 'Outbound']) {
        const table = page.getByRole('table', {name: new RegExp(`^${direction} rules`)}).last();
        assert.deepEqual(await table.getByRole('columnheader').allTextContents(), kColumns);
      }
      assert.deepEqual(await rows(page, group, 'Inbound'), [
        ['Custom_TCP|the office', '443,8443', 'manual', '198.51.100.16',
         '10|198.51.100.16 – 198.51.100.25'],
        ['ICMP', 'type 8, code 0', 'manual', '10.0.0.0', '16777216|10.0.0.0 – 10.255.255.255'],
        ['Custom_UDP', '4500', 'manual', 'fd00::', '1208925819614629174706176|fd00:: – ' +
         'fd00::ffff:ffff:ffff:ffff:ffff'],
        ['ESP', 'All', 'any', '--', '1|any address'],
      ]);
      assert.deepEqual(await rows(page, group, 'Outbound'), [
        ['Custom_TCP', '8080-8090', `myNetwork (vpc_${vpc.vpc_id})`, '--',
         '1|10.8.0.0/16, fd00:8::/48'],
      ]);
      await expect_accessible(page, 'the tab');
      await shot(page, '01-review-light');
    });
    await with_tab(lb, async (page) => {
      await card(page, group).waitFor();
      await expect_accessible(page, 'the tab in the dark');
      await shot(page, '02-review-dark');
    }, {colorScheme: 'dark'});
  });

test('review: the generation in force is told', async () => {
  const lb = await make_lb();
  await with_tab(lb, async (page) => {
    const {generation} = await bed.daemon.made('GET', `/appliances/${lb.id}/security_group/`);
    await page.getByText(`Generation ${generation.toLocaleString('en')} in force`).waitFor();
  });
});

test('review: the default group is tagged and cannot be detached, and the tab says why', async () => {
  const lb = await make_lb();
  await with_tab(lb, async (page) => {
    const place = card(page, {name: 'default'});
    await place.getByText('default', {exact: true}).nth(1).waitFor();
    const button = place.getByRole('button', {name: 'Detach default'});
    assert.ok(await button.isDisabled());
    const why = await button.getAttribute('aria-describedby');
    assert.match(await page.locator(`#${why}`).textContent(), /default group cannot be detached/);
  });
});

test('status: available in Running and Backend Connection Failure only, else the status is named',
  async () => {
    const lb = await make_lb();
    await with_tab(lb, async (page) => {
      const button = page.getByRole('button', {name: 'Attach Security Group'});
      for (const status of ['Creating', 'Deploying', 'Powered off', 'Upgrading', 'Error',
        'Backend Status Unavailable', 'Deleting']) {
        await bed.daemon.made('PUT', `/appliances/${lb.id}/status/`, {status});
        await page.getByRole('heading', {name: `${status}: not available now`}).waitFor();
        await page.getByText(`is ${status}: security groups can be reviewed only while it is ` +
          'Running or in Backend Connection Failure').waitFor();
        assert.ok(!(await button.isVisible()), status);
        assert.equal(await page.getByRole('article').count(), 0, status);
      }
      await expect_accessible(page, 'the tab while not available');
      await shot(page, '03-not-available');
      for (const status of ['Backend Connection Failure', 'Running']) {
        await bed.daemon.made('PUT', `/appliances/${lb.id}/status/`, {status});
        await page.locator('main').getByText(status, {exact: true}).waitFor();
        await button.waitFor();
        await card(page, {name: 'default'}).waitFor();
      }
    });
  });

test('an unknown load balancer is told of, and the list stays', async () => {
  await with_tab(null, async (page) => {
    await page.goto(`${bed.daemon.url}/#/lb/4000000000`);
    await page.getByText('There is no load balancer 4000000000.').waitFor();
  });
});

test('ALLOW ALL names the groups that cause it, the built-in one and any other', async () => {
  const lb = await make_lb();
  const any = {protocol_name: 'All', network: 'any'};
  const named = await make_group({...any, port_range: undefined}, {name: 'all-in'});
  const halves = await make_group({}, {name: 'all-in-by-halves', rules: [
    {rule_type: 'Inbound', protocol_name: 'All', network: '0.0.0.0/1'},
    {rule_type: 'Inbound', protocol_name: 'All', network: '128.0.0.0/1'},
    {rule_type: 'Inbound', protocol_name: 'All', network: '::/0'}, kOutbound]});
  const almost = await make_group({}, {name: 'almost-all', rules: [
    {rule_type: 'Inbound', protocol_name: 'All', network: 'manual', network_cidr: '0.0.0.0',
     network_size: 2 ** 32 - 1},
    {rule_type: 'Inbound', protocol_name: 'All', network: '::/0'}, kOutbound]});
  await attach(lb, {id: 2}, named, halves, almost);
  await with_tab(lb, async (page) => {
    await page.getByText('Allow-All-Traffic lets all traffic in and out; all-in lets all traffic ' +
      'in and out; all-in-by-halves lets all traffic in and out.').waitFor();
    for (const [group, badges] of [[{name: 'Allow-All-Traffic'}, 1], [named, 1], [halves, 1],
      [almost, 0], [{name: 'default'}, 0]])
      assert.equal(await card(page, group).getByText('ALLOW ALL').count(), badges, group.name);
    await expect_accessible(page, 'ALLOW ALL');
    await shot(page, '04-allow-all');
    // A group that only lets everything out is usual and no alarm.
    await bed.daemon.made('POST', `/security_group/${lb.id}/detach/`,
      {security_group_ids: [2, named.id, halves.id]});
    await eventually(async () => (await cards(page).count()) === 2, 'the list follows');
    assert.equal(await page.getByText('ALLOW ALL').count(), 0);
  });
});

test('many load balancers: search by name, address, id and status, and pages', async () => {
  const made = [];
  for (let i = 0; i < 120; ++i) made.push(await make_lb({lb_name: `paged-${1000 + i}`}));
  await bed.daemon.made('PUT', `/appliances/${made[7].id}/status/`, {status: 'Upgrading'});
  await with_tab(made[0], async (page) => {
    const search = page.getByRole('searchbox', {name: /Search by name/});
    const list = page.getByRole('navigation', {name: 'Load balancers'});
    const names = () => list.locator('a .name').allTextContents();
    await search.fill('PAGED-');
    await list.getByText('1–50 of 120 load balancers found for “PAGED-”').waitFor();
    await list.getByRole('button', {name: 'Next page'}).click();
    await list.getByText('Page 2 of 3').waitFor();
    assert.equal((await names())[0], 'paged-1050');
    await list.getByRole('button', {name: 'Last page'}).click();
    await list.getByText('Page 3 of 3').waitFor();
    await eventually(async () => (await names()).length === 20, 'the rest');
    assert.equal(await list.getByRole('button', {name: 'Next page'}).getAttribute('aria-disabled'),
      'true');
    for (const text of ['paged-1007', 'upgrad', String(made[7].id)]) {
      await search.fill(text);
      await eventually(async () => (await names()).includes('paged-1007') &&
        (await names()).length < 50, `found by ${text}`);
    }
    await search.fill('nothing-like-it');
    await list.getByText('0 load balancers found').waitFor();
    await expect_accessible(page, 'a search without result');
    await search.fill('paged-1042');
    await list.getByRole('link', {name: /paged-1042/}).click();
    await page.getByRole('heading', {level: 1, name: 'paged-1042'}).waitFor();
    assert.equal(await list.getByRole('link', {name: /paged-1042/}).getAttribute('aria-current'),
      'page');
    await shot(page, '05-search');
  });
});

test('a group of many rules shows them in pages', async () => {
  const lb = await make_lb();
  const rules = Array.from({length: 2000}, (_, i) => ({
    rule_type: 'Inbound', protocol_name: 'Custom_TCP', port_range: String(i + 1),
    network: 'manual', network_cidr: `10.0.${i >> 8}.${i & 255}`, network_size: 1}));
  const group = await make_group({}, {rules: [...rules, kOutbound]});
  await attach(lb, group);
  await with_tab(lb, async (page) => {
    const place = card(page, group);
    await place.getByRole('button', {name: 'Show more of the 1,900 further rules'}).click();
    await place.getByRole('button', {name: 'Show more of the 1,500 further rules'}).waitFor();
    assert.equal((await rows(page, group, 'Inbound')).length, 500);
    const fold = place.getByRole('button', {name: `Rules of ${group.name}`});
    assert.equal(await fold.getAttribute('aria-expanded'), 'true');
    await fold.click();
    assert.ok(!(await place.getByRole('table').first().isVisible()));
  });
});

test('texts of the node are text, never HTML', async () => {
  const lb = await make_lb();
  const text = '<img src=x onerror=alert(1)><b>&amp;</b>';
  const group = await make_group({description: text}, {description: text});
  await attach(lb, group);
  await with_tab(lb, async (page) => {
    const place = card(page, group);
    assert.equal(await place.getByText(text).count(), 2);
    assert.equal(await place.locator('img, b').count(), 0);
  });
});

test('small windows: the page itself never scrolls sideways', async () => {
  const lb = await make_lb();
  await attach(lb, {id: 2});
  await with_tab(lb, async (page) => {
    await card(page, {name: 'Allow-All-Traffic'}).waitFor();
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 320));
    await expect_accessible(page, 'a narrow window');
    await shot(page, '06-narrow');
  }, {viewport: {width: 320, height: 800}});
});

test('ranges: addresses print as the browser itself writes them, and sizes count exactly', async () => {
  await with_tab(null, async (page) => {
    const wrong = await page.evaluate(async () => {
      const {format_address, parse_address, range_of} = await import('/ranges.js');
      const failed = [];
      const word = () => (Math.random() < 0.6 ? 0 : Math.floor(Math.random() * 65536));
      for (let i = 0; i < 2000; ++i) {
        const written = Array.from({length: 8}, () => word().toString(16)).join(':');
        const canonical = new URL(`http://[${written}]/`).hostname.slice(1, -1);
        const printed = format_address(parse_address(written));
        if (printed !== canonical || format_address(parse_address(canonical)) !== canonical)
          failed.push(`${written}: ${printed}, not ${canonical}`);
        const first = Math.floor(Math.random() * 2 ** 32);
        const size = 1 + Math.floor(Math.random() * 2 ** 20);
        const range = range_of(new URL(`http://${first}/`).hostname, size);
        const last = first + size - 1;
        const expected = last < 2 ** 32 ? new URL(`http://${last}/`).hostname : null;
        if ((range && format_address({family: 4, value: range.last})) !== expected)
          failed.push(`${first} + ${size}`);
      }
      for (const text of ['1.2.3', '01.2.3.4', '256.1.1.1', '1::2::3', '1:2:3:4:5:6:7', 'g::',
        '1:2:3:4:5:6:7:8:9', '', '::1%lo'])
        if (parse_address(text) !== null) failed.push(`${text} was taken`);
      for (const [first_ip, size] of [['10.0.0.1/24', ''], ['10.0.0.0/24', '255'], ['10.0.0.0', ''],
        ['10.0.0.0', '0'], ['255.255.255.255', '2'], ['10.0.0.0/33', '']])
        if (range_of(first_ip, size) !== null) failed.push(`${first_ip} ${size} was taken`);
      return failed;
    });
    assert.deepEqual(wrong, []);
  });
});
