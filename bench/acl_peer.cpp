// SPDX-License-Identifier: Apache-2.0
#include "bench/acl_peer.h"

#include <rte_acl.h>
#include <rte_byteorder.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <numeric>
#include <string>

#include "rules/service_axis.h"

namespace sluice::bench {
namespace {

using namespace rules;

constexpr std::size_t kFields = 8;  // protocol, 4 words of address, service, its pair, LB
constexpr std::size_t kBurstMax = 1024;
// Of the compiled form; what needs more is refused, as rte_acl does beyond 2^31 transitions.
constexpr std::size_t kAclBytesMax = std::size_t{1} << 30;

RTE_ACL_RULE_DEF(AclRule, kFields);

struct Fields {
  std::array<rte_acl_field_def, kFields> defs{};
  std::uint32_t count = 0;
  std::uint32_t service = 0, lb = 0;
};

// Field order follows the offsets of AclPeer::Key.
Fields fields_of(Family family, bool with_lb) {
  Fields fields;
  std::uint32_t input = 0;
  const auto add = [&](std::uint8_t type, std::uint8_t size, std::uint32_t offset, bool new_input) {
    if (new_input) ++input;
    const std::uint32_t index = fields.count++;
    fields.defs[index] = {type, size, static_cast<std::uint8_t>(index),
                          static_cast<std::uint8_t>(input), offset};
    return index;
  };
  add(RTE_ACL_FIELD_TYPE_BITMASK, 1, 0, false);
  const std::uint32_t words = family == Family::ipv4 ? 1 : 4;
  for (std::uint32_t i = 0; i < words; ++i) add(RTE_ACL_FIELD_TYPE_MASK, 4, 4 + 4 * i, true);
  fields.service = add(RTE_ACL_FIELD_TYPE_RANGE, 2, 20, true);
  add(RTE_ACL_FIELD_TYPE_RANGE, 2, 22, false);
  if (with_lb) fields.lb = add(RTE_ACL_FIELD_TYPE_BITMASK, 4, 24, true);
  return fields;
}

// The number of leading bits that all addresses of a range share.
unsigned prefix_length(const AddressRange& range) {
  const Uint128 differs = range.first.value() ^ range.last.value();
  const unsigned bits = range.first.family == Family::ipv4 ? 32 : 128;
  unsigned length = bits;
  for (Uint128 left = differs; left != 0; left >>= 1) --length;
  return length;
}

void set_network(AclRule& acl, Family family, const Network& network) {
  const unsigned words = family == Family::ipv4 ? 1 : 4;
  unsigned left = network.type == NetworkType::any ? 0 : prefix_length(network.range);
  const Address& first = network.range.first;
  for (unsigned i = 0; i < words; ++i) {
    const unsigned bits = std::min(left, 32u);
    const auto word = static_cast<std::uint32_t>(first.value() >> (32 * (words - 1 - i)));
    acl.field[1 + i].value.u32 = bits == 0 ? 0 : word;
    acl.field[1 + i].mask_range.u32 = bits;
    left -= bits;
  }
}

std::vector<AclRule> acl_rules(const Rule& rule, Family family, const Fields& fields, LbId lb) {
  std::vector<AclRule> out;
  std::vector<ServiceSpan> spans = service_spans(rule);
  if (rule.protocol.kind == ProtocolKind::all) spans.resize(1);  // one rule: any protocol
  static constexpr std::array<std::uint8_t, kAxes> kProtocols{
      kProtocolTcp, kProtocolUdp, kProtocolIcmp, kProtocolIcmpv6, kProtocolSctp, 0};
  for (const ServiceSpan& span : spans) {
    AclRule acl{};
    acl.data.category_mask = 1;
    acl.data.priority = 1;
    acl.data.userdata = 1;
    const bool is_other = span.axis == kAxisOther;
    const bool is_all = rule.protocol.kind == ProtocolKind::all;
    acl.field[0].value.u8 =
        is_other ? static_cast<std::uint8_t>(span.first) : kProtocols[span.axis];
    if (is_all) acl.field[0].value.u8 = 0;
    acl.field[0].mask_range.u8 = is_all ? 0 : 0xff;
    set_network(acl, family, rule.network);
    const bool every = is_all || is_other;
    acl.field[fields.service].value.u16 = every ? 0 : span.first;
    acl.field[fields.service].mask_range.u16 = every ? 65535 : span.last;
    acl.field[fields.service + 1].value.u16 = 0;
    acl.field[fields.service + 1].mask_range.u16 = 65535;
    if (fields.lb != 0) {
      acl.field[fields.lb].value.u32 = lb;
      acl.field[fields.lb].mask_range.u32 = ~0u;
    }
    out.push_back(acl);
  }
  return out;
}

}  // namespace

void AclPeer::FreeContext::operator()(rte_acl_ctx* context) const {
  rte_acl_free(context);
}

AclPeer::Context AclPeer::build_context(const std::vector<LbId>& lbs, const oracle::Workload& work,
                                        Family family, bool with_lb) {
  const Fields fields = fields_of(family, with_lb);
  std::vector<AclRule> rules;
  for (LbId id : lbs) {
    for (GroupId group : work.node.load_balancers.at(id)->groups) {
      for (const Rule& rule : work.node.groups.at(group)->rules) {
        if (rule.direction != Direction::inbound) continue;
        const auto more = acl_rules(rule, family, fields, id);
        rules.insert(rules.end(), more.begin(), more.end());
      }
    }
  }
  static unsigned number = 0;
  const std::string name = "acl" + std::to_string(number++);
  const rte_acl_param param{name.c_str(), SOCKET_ID_ANY,
                            static_cast<std::uint32_t>(RTE_ACL_RULE_SZ(kFields)),
                            static_cast<std::uint32_t>(rules.size())};
  Context context(rte_acl_create(&param));
  if (context == nullptr) return nullptr;
  rte_acl_config config{};
  config.num_categories = 1;
  config.num_fields = fields.count;
  config.max_size = kAclBytesMax;
  std::copy(fields.defs.begin(), fields.defs.end(), config.defs);
  if (rte_acl_add_rules(context.get(), reinterpret_cast<rte_acl_rule*>(rules.data()),
                        static_cast<std::uint32_t>(rules.size())) != 0 ||
      rte_acl_build(context.get(), &config) != 0)
    return nullptr;
  for (const auto algorithm : {RTE_ACL_CLASSIFY_AVX512X32, RTE_ACL_CLASSIFY_AVX512X16,
                               RTE_ACL_CLASSIFY_AVX2, RTE_ACL_CLASSIFY_SSE})
    if (rte_acl_set_ctx_classify(context.get(), algorithm) == 0) break;
  return context;
}

std::optional<AclPeer> AclPeer::build(const oracle::Workload& work, Family family,
                                      AclContexts contexts) {
  AclPeer peer;
  std::vector<LbId> all;
  for (const auto& [id, lb] : work.node.load_balancers) all.push_back(id);
  const auto begin = std::chrono::steady_clock::now();
  if (contexts == AclContexts::one) {
    peer.contexts_.push_back(build_context(all, work, family, all.size() > 1));
  } else {
    for (LbId id : all) peer.contexts_.push_back(build_context({id}, work, family, false));
  }
  peer.build_seconds_ =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  for (const auto& context : peer.contexts_)
    if (context == nullptr) return std::nullopt;
  return peer;
}

void AclPeer::load_keys(const oracle::Workload& work) {
  lb_of_key_ = work.lb_of_key;
  for (std::size_t i = 0; i < work.keys.size(); ++i) {
    const PacketKey& key = work.keys[i];
    Key acl{};
    acl.protocol = key.protocol;
    if (key.remote.family == Family::ipv4) {
      acl.address[0] = rte_cpu_to_be_32(static_cast<std::uint32_t>(key.remote.low));
    } else {
      for (unsigned word = 0; word < 4; ++word)
        acl.address[word] =
            rte_cpu_to_be_32(static_cast<std::uint32_t>(key.remote.value() >> (96 - 32 * word)));
    }
    acl.service = rte_cpu_to_be_16(key.service);
    acl.lb = rte_cpu_to_be_32(work.lb_of_key[i]);
    keys_.push_back(acl);
  }
}

void AclPeer::classify(std::size_t first, std::size_t count, std::uint32_t* results) {
  if (contexts_.size() > 1) return classify_grouped(first, count, results);
  std::array<const std::uint8_t*, kBurstMax> keys;
  for (std::size_t i = 0; i < count; ++i)
    keys[i] = reinterpret_cast<const std::uint8_t*>(&keys_[first + i]);
  rte_acl_classify(contexts_[0].get(), keys.data(), results, static_cast<std::uint32_t>(count), 1);
}

// A counting sort by LB, a call for each LB in the burst, answers back in their places.
void AclPeer::classify_grouped(std::size_t first, std::size_t count, std::uint32_t* results) {
  static thread_local std::vector<std::uint32_t> begin;
  begin.assign(contexts_.size() + 1, 0);
  for (std::size_t i = 0; i < count; ++i) ++begin[lb_of_key_[first + i]];
  std::partial_sum(begin.begin(), begin.end(), begin.begin());
  std::array<const std::uint8_t*, kBurstMax> keys;
  std::array<std::uint32_t, kBurstMax> place, sorted;
  static thread_local std::vector<std::uint32_t> next;
  next = begin;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t at = next[lb_of_key_[first + i] - 1]++;
    keys[at] = reinterpret_cast<const std::uint8_t*>(&keys_[first + i]);
    place[at] = static_cast<std::uint32_t>(i);
  }
  for (std::size_t lb = 0; lb < contexts_.size(); ++lb) {
    const std::uint32_t run = begin[lb + 1] - begin[lb];
    if (run != 0)
      rte_acl_classify(contexts_[lb].get(), keys.data() + begin[lb], sorted.data() + begin[lb], run,
                       1);
  }
  for (std::size_t i = 0; i < count; ++i) results[place[i]] = sorted[i];
}

}  // namespace sluice::bench
