// SPDX-License-Identifier: Apache-2.0
//
// First IP and Size to the range they mean, and which groups let everything through. Addresses are
// BigInt: an IPv6 size may have 39 digits.

const kBits = {4: 32n, 6: 128n};

function parse_ipv4(text) {
  const octets = text.split('.');
  if (octets.length !== 4) return null;
  let value = 0n;
  for (const octet of octets) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(octet) || Number(octet) > 255) return null;
    value = (value << 8n) | BigInt(octet);
  }
  return {family: 4, value};
}

function parse_ipv6(text) {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')));
  const given = groups.flat().length;
  if (halves.length === 2 ? given > 7 : given !== 8) return null;
  if (!groups.flat().every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return null;
  const zeros = Array(8 - given).fill('0');
  const all = halves.length === 2 ? [...groups[0], ...zeros, ...groups[1]] : groups[0];
  return {family: 6, value: all.reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n)};
}

// {family: 4|6, value} or null.
export function parse_address(text) {
  return text.includes(':') ? parse_ipv6(text) : parse_ipv4(text);
}

// RFC 5952 for IPv6.
export function format_address({family, value}) {
  if (family === 4) return [24n, 16n, 8n, 0n].map((bits) => (value >> bits) & 255n).join('.');
  const groups = [];
  for (let bits = 112n; bits >= 0n; bits -= 16n) groups.push(((value >> bits) & 0xffffn).toString(16));
  let best = {at: -1, length: 1};
  for (let at = 0; at < 8; ++at) {
    let length = 0;
    while (at + length < 8 && groups[at + length] === '0') ++length;
    if (length > best.length) best = {at, length};
  }
  if (best.at < 0) return groups.join(':');
  return `${groups.slice(0, best.at).join(':')}::${groups.slice(best.at + best.length).join(':')}`;
}

// {family, first, last} of First IP ("10.0.0.0", "10.0.0.0/24") and Size; null: they mean no range.
export function range_of(first_text, size_text) {
  const [address_text, length_text] = String(first_text).trim().split('/');
  const address = parse_address(address_text);
  if (!address) return null;
  const bits = kBits[address.family];
  let size = /^[0-9]+$/.test(String(size_text).trim()) ? BigInt(String(size_text).trim()) : null;
  if (length_text !== undefined) {
    if (!/^[0-9]{1,3}$/.test(length_text) || BigInt(length_text) > bits) return null;
    const of_prefix = 1n << (bits - BigInt(length_text));
    if (address.value % of_prefix !== 0n || (size !== null && size !== of_prefix)) return null;
    size = of_prefix;
  }
  if (size === null || size < 1n) return null;
  const last = address.value + size - 1n;
  return last < 1n << bits ? {family: address.family, first: address.value, last} : null;
}

export function format_range({family, first, last}) {
  const from = format_address({family, value: first});
  return first === last ? from : `${from} – ${format_address({family, value: last})}`;
}

function covers_family(ranges, family) {
  const sorted = ranges.filter((range) => range.family === family)
    .sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  let next = 0n;
  for (const range of sorted) {
    if (range.first > next) return false;
    if (range.last + 1n > next) next = range.last + 1n;
  }
  return next === 1n << kBits[family];
}

// Do the rules of this direction alone let every packet open? vpcs: Map of "vpc_<id>" to CIDRs.
export function allows_all(group, direction, vpcs = new Map()) {
  const ranges = [];
  for (const rule of group.rules) {
    if (rule.rule_type !== direction || rule.protocol_name !== 'All') continue;
    if (rule.network === 'any') return true;
    const cidrs = rule.network === 'myNetwork' ? vpcs.get(rule.vpc_id) ?? [] : null;
    const found = cidrs ? cidrs.map((cidr) => range_of(cidr, ''))
      : [range_of(rule.network_cidr, rule.network_size)];
    ranges.push(...found.filter((range) => range !== null));
  }
  return covers_family(ranges, 4) && covers_family(ranges, 6);
}
