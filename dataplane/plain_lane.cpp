// SPDX-License-Identifier: Apache-2.0
#include "dataplane/plain_lane.h"

#include <algorithm>
#include <bit>

#include "rules/model.h"

namespace sluice::dataplane {

PacketMask PlainLane::read(std::span<const Frame> frames, const Ingress& ingress,
                           const rules::Table& table) noexcept {
  count_ = frames.size();
  direction_ = direction_of(ingress);
  const PacketMask plain = read_plain_tcp(frames, ingress, plain_);
  // Packets of one burst are often for one LB.
  if (plain == 0 || plain != all_of(count_) || !are_of_one_lb()) return find_lbs(plain, table);
  const rules::LbMatch lb = find_lb(0, table);
  std::fill_n(lbs_.begin(), count_, lb);
  return lb.lb == 0 ? 0 : plain;
}

bool PlainLane::are_of_one_lb() const noexcept {
  const Ipv4FlowWords first = plain_.flows[0];
  Ipv4FlowWords differing;
  for (std::size_t i = 0; i < count_; ++i) {
    differing.addresses |= plain_.flows[i].addresses ^ first.addresses;
    differing.identity |= plain_.flows[i].identity ^ first.identity;
  }
  return differing.place() == 0;
}

rules::LbMatch PlainLane::find_lb(std::size_t i, const rules::Table& table) const noexcept {
  const Ipv4FlowWords& flow = plain_.flows[i];
  return table.find_lb(flow.zone(), rules::Address::ipv4(static_cast<std::uint32_t>(flow.place())));
}

// Returns those whose LB is known.
PacketMask PlainLane::find_lbs(PacketMask plain, const rules::Table& table) noexcept {
  std::uint64_t place = ~std::uint64_t{0};
  rules::LbMatch lb;
  PacketMask known = plain;
  for_each_of(plain, [&](std::size_t i) {
    if (const std::uint64_t its = plain_.flows[i].place(); its != place) [[unlikely]] {
      place = its;
      lb = find_lb(i, table);
    }
    lbs_[i] = lb;
    known &= ~(PacketMask{lb.lb == 0} << i);
  });
  return known;
}

PacketMask PlainLane::allowed(PacketMask set, const rules::Table& table) const noexcept {
  std::array<rules::PacketKey, kPacketsMax> keys;
  std::size_t count = 0;
  for_each_of(set, [&](std::size_t i) {
    const std::uint64_t identity = plain_.flows[i].identity;
    rules::PacketKey& key = keys[count++];
    key.remote.low = static_cast<std::uint32_t>(plain_.flows[i].addresses);
    key.policy = lbs_[i].policy;
    key.service = direction_ == rules::Direction::inbound ? FlowKey::local_port_of(identity)
                                                          : FlowKey::remote_port_of(identity);
    key.protocol = rules::kProtocolTcp;
    key.direction = direction_;
  });
  if (count == 0) return 0;
  std::uint64_t answers = table.allows_batch({keys.data(), count});
  if (answers == all_of(count)) return set;
  PacketMask allowed = 0;
  for_each_of(set, [&](std::size_t i) {
    allowed |= static_cast<PacketMask>(answers & 1u) << i;
    answers >>= 1;
  });
  return allowed;
}

void PlainLane::fetch_buckets(PacketMask set, const FlowTable& flows) noexcept {
  if (set == 0) return;
  // Of all, as holes cost less than asking.
  flows.hash_each({plain_.flows.data(), count_}, hashes_.data());
  for_each_of(set, [&](std::size_t i) { flows.prefetch_bucket(hashes_[i]); });
}

void PlainLane::fetch_flows(PacketMask set, const FlowTable& flows) noexcept {
  for_each_of(set, [&](std::size_t i) { cells_[i] = flows.prefetch_flow(hashes_[i]); });
}

template <Tracking kTracking>
std::size_t PlainLane::pass_from(std::size_t i, const PlainSets& sets, FlowStage& stage,
                                 std::uint64_t generation,
                                 std::span<Verdict> verdicts) const noexcept {
  const SettledFlows flows = stage.settled();
  // In 64 bits, as i may be 32.
  const std::size_t end =
      i + static_cast<std::size_t>(std::countr_one(std::uint64_t{sets.plain} >> i));
  for (; i < end; ++i) {
    Verdict& verdict = verdicts[i];
    if (kTracking == Tracking::strict || ((sets.tracked >> i) & 1u)) {
      Flow* flow = flows.find(cells_[i], plain_.flows[i]);
      if (flow == nullptr) break;
      if (!flows.has(*flow, lbs_[i]) && !stage.may_go_on(*flow, lbs_[i])) break;
      if (!flows.take<kTracking>(*flow, plain_.segment(i), direction_)) break;
      verdict.flow = FlowKind::established;
      verdict.rule = flow->rule;
    } else {
      verdict.flow = FlowKind::none;
      verdict.rule = {};
    }
    verdict.reason = DropReason::none;
    verdict.lb = lbs_[i].lb;
    verdict.generation = generation;
    verdict.is_held = false;
  }
  return i;
}
template std::size_t PlainLane::pass_from<Tracking::strict>(std::size_t, const PlainSets&,
                                                            FlowStage&, std::uint64_t,
                                                            std::span<Verdict>) const noexcept;
template std::size_t PlainLane::pass_from<Tracking::rules_first>(std::size_t, const PlainSets&,
                                                                 FlowStage&, std::uint64_t,
                                                                 std::span<Verdict>) const noexcept;

void PlainLane::expand_into(std::size_t i, const Frame& frame, Work& work) const noexcept {
  expand(plain_, i, frame, direction_, work.packet);
  work.frame = &frame;
  work.lb = lbs_[i];
  work.hash = hashes_[i];
  work.cell = cells_[i];
  work.host.reset();
  work.needs_flow = true;
  work.rules = Work::Rules::unasked;
}

}  // namespace sluice::dataplane
