// SPDX-License-Identifier: Apache-2.0
//
// The form for a new group: every field of a rule, and refusals at the field they name.

import assert from 'node:assert/strict';
import {test} from 'node:test';
import {attached_to, attach, bed, card, expect_accessible, make_lb, shot, with_tab} from
  './bed.mjs';

// Opens the form from the selector, when something is left to attach.
async function open_form(page) {
  await page.getByRole('button', {name: 'Attach Security Group'}).click();
  await page.getByRole('button', {name: 'Create a new security group'}).click();
  return page.getByRole('dialog', {name: 'Create a security group'});
}
function rule(dialog, number) {
  return dialog.getByRole('group', {name: `Rule ${number}`});
}
function submit(dialog) {
  return dialog.getByRole('button', {name: 'Create security group'}).click();
}

test('no more groups: the tab says so, and leads to the form and back to the choice', async () => {
  const lb = await make_lb();
  const all = await bed.daemon.made('GET', '/security_group/');
  await attach(lb, ...all.filter((group) => group.id !== 1));
  await with_tab(lb, async (page) => {
    await page.getByRole('button', {name: 'Attach Security Group'}).click();
    const told = page.getByText('No more Security Groups are available. Click here to create a ' +
      'new security group.');
    await told.waitFor();
    await expect_accessible(page, 'no more groups');
    await shot(page, '20-no-more-groups');
    await told.getByRole('button', {name: 'Click here'}).click();
    const dialog = page.getByRole('dialog', {name: 'Create a security group'});
    await dialog.getByLabel('Name', {exact: true}).fill('  from-the-tab ');
    await rule(dialog, 1).getByLabel('Port Range').fill('8443');
    await submit(dialog);
    await page.getByRole('status').getByText('Security Group created successfully.').waitFor();
    // The new group is chosen already: one ✓ attaches it.
    const box = page.getByRole('checkbox', {name: /^from-the-tab/});
    assert.ok(await box.isChecked());
    await page.getByRole('button', {name: 'Attach the selected security groups'}).click();
    await page.getByRole('status').getByText('Security Group attached successfully').waitFor();
    await card(page, {name: 'from-the-tab'}).waitFor();
    assert.equal((await attached_to(lb)).length, all.length + 1);
  });
});

test('create: what the node refuses stands at its field, all at once, and the list leads there',
  async () => {
    const lb = await make_lb();
    const before = (await bed.daemon.made('GET', '/security_group/')).length;
    await with_tab(lb, async (page) => {
      const dialog = await open_form(page);
      await dialog.getByLabel('Name', {exact: true}).fill('not a name');
      await rule(dialog, 1).getByLabel('Port Range').fill('443-80');
      await dialog.getByRole('button', {name: '+ Add inbound rule'}).click();
      await rule(dialog, 3).getByLabel('Protocol', {exact: true}).selectOption('other');
      await rule(dialog, 3).getByLabel('Protocol name or number').fill('NOSUCH');
      await dialog.getByRole('button', {name: '+ Add inbound rule'}).click();
      await rule(dialog, 4).getByLabel('Port Range').fill('8443');
      await rule(dialog, 4).getByLabel('Network Type').selectOption('manual');
      await rule(dialog, 4).getByLabel('First IP').fill('255.255.255.250');
      await rule(dialog, 4).getByLabel('Size').fill('10');
      await dialog.getByRole('button', {name: '+ Add inbound rule'}).click();
      await rule(dialog, 5).getByLabel('Protocol', {exact: true}).selectOption('ICMP');
      await rule(dialog, 5).getByLabel('ICMP type').fill('300');
      await rule(dialog, 5).getByLabel('Network Type').selectOption('myNetwork');
      await submit(dialog);
      const summary = dialog.getByRole('alert');
      await summary.getByText('The node refuses the group').waitFor();
      assert.ok(await summary.evaluate((element) => element === document.activeElement));
      for (const [place, label] of [[dialog, 'Name'], [rule(dialog, 1), 'Port Range'],
        [rule(dialog, 3), 'Protocol name or number'], [rule(dialog, 5), 'ICMP type'],
        [rule(dialog, 5), 'VPC']]) {
        const control = place.getByLabel(label, {exact: true});
        assert.equal(await control.getAttribute('aria-invalid'), 'true', label);
        const told_by = (await control.getAttribute('aria-describedby')).split(' ').pop();
        assert.notEqual(await page.locator(`#${told_by}`).textContent(), '', label);
      }
      assert.equal(await rule(dialog, 4).locator('[aria-invalid="true"]').count(), 1);
      await expect_accessible(page, 'the form with problems');
      await shot(page, '21-create-refused');
      await summary.getByRole('button', {name: /Rule 1, Port Range.*443-80/}).click();
      assert.ok(await rule(dialog, 1).getByLabel('Port Range')
        .evaluate((input) => input === document.activeElement));
      assert.equal((await bed.daemon.made('GET', '/security_group/')).length, before);
      // Leaving the form loses nothing; what was wrong and is removed is wrong no more.
      await dialog.getByRole('button', {name: 'Cancel'}).click();
      await page.getByRole('button', {name: 'Create a new security group'}).click();
      assert.equal(await rule(dialog, 1).getByLabel('Port Range').inputValue(), '443-80');
    });
  });

test('create: every field of a rule arrives as written', async () => {
  const lb = await make_lb();
  const vpc = await bed.daemon.made('POST', '/vpc/', {vpc_name: 'stage', ipv4_cidr: '10.66.0.0/16'});
  await with_tab(lb, async (page) => {
    const dialog = await open_form(page);
    await dialog.getByLabel('Name', {exact: true}).fill('complete');
    await dialog.getByLabel('Description (optional)').first().fill('All there is');
    const first = rule(dialog, 1);
    await first.getByLabel('Port Range').fill('443, 8000:8010');
    await first.getByLabel('Network Type').selectOption('manual');
    await first.getByLabel('First IP').fill('fd00::5');
    await first.getByLabel('Size').fill('10');
    await first.getByText('= fd00::5 – fd00::e').waitFor();
    await first.getByLabel('Description').fill('the range');
    const second = rule(dialog, 2);
    await second.getByLabel('Network Type').selectOption('myNetwork');
    await second.getByLabel('VPC').selectOption(`vpc_${vpc.vpc_id}`);
    await dialog.getByRole('button', {name: '+ Add inbound rule'}).click();
    const third = rule(dialog, 3);
    await third.getByLabel('Protocol', {exact: true}).selectOption('ICMPv6');
    await third.getByLabel('ICMP type').fill('128');
    await third.getByLabel('ICMP code').fill('0');
    await dialog.getByRole('button', {name: '+ Add outbound rule'}).click();
    const fourth = rule(dialog, 4);
    await fourth.getByLabel('Protocol', {exact: true}).selectOption('other');
    await fourth.getByLabel('Protocol name or number').fill('47');
    await fourth.getByLabel('Network Type').selectOption('manual');
    await fourth.getByLabel('First IP').fill('10.0.0.0/24');
    await fourth.getByText('= 10.0.0.0 – 10.0.0.255').waitFor();
    await dialog.getByRole('button', {name: '+ Add outbound rule'}).click();
    await dialog.getByRole('button', {name: 'Remove rule 5'}).click();
    await expect_accessible(page, 'the form');
    await shot(page, '22-create');
    await submit(dialog);
    await page.getByRole('status').getByText('Security Group created successfully.').waitFor();
    const group = (await bed.daemon.made('GET', '/security_group/'))
      .find(({name}) => name === 'complete');
    assert.equal(group.description, 'All there is');
    assert.equal(group.is_default, false);
    const told = group.rules.map((made) => [made.rule_type, made.protocol_name, made.port_range,
      made.network, made.network_cidr, made.network_size, made.vpc_id, made.icmp_type,
      made.icmp_code, made.description]);
    assert.deepEqual(told, [
      ['Inbound', 'Custom_TCP', '443,8000-8010', 'manual', 'fd00::5', 10, null, null, null,
       'the range'],
      ['Outbound', 'All', 'All', 'myNetwork', '--', 1, `vpc_${vpc.vpc_id}`, null, null, ''],
      ['Inbound', 'ICMPv6', 'All', 'any', '--', 1, null, 128, 0, ''],
      ['Outbound', 'GRE', 'All', 'manual', '10.0.0.0', 256, null, null, null, ''],
    ]);
  });
});

test('create: a name that is taken is told at the name', async () => {
  const lb = await make_lb();
  await with_tab(lb, async (page) => {
    const dialog = await open_form(page);
    await dialog.getByLabel('Name', {exact: true}).fill('default');
    await rule(dialog, 1).getByLabel('Port Range').fill('1');
    await submit(dialog);
    await dialog.locator('[data-name="name"]').getByText('"default" is the name of group 1')
      .waitFor();
  });
});
