// SPDX-License-Identifier: Apache-2.0
#include "dataplane/plain_lane.h"

#include <bit>

#include "rules/model.h"

namespace sluice::dataplane {

PacketMask PlainLane::read(std::span<const Frame> frames, const Ingress& ingress,
                           const rules::Table& table) noexcept {
  count_ = frames.size();
  direction_ = direction_of(ingress);
  PacketMask plain = read_plain_tcp(frames, ingress, plain_);
  // Packets of one burst are often for one LB.
  std::uint64_t place = ~std::uint64_t{0};
  rules::LbMatch lb;
  for_each_of(plain, [&](std::size_t i) {
    if (const std::uint64_t its = plain_.flows[i].place(); its != place) [[unlikely]] {
      place = its;
      lb = table.find_lb(plain_.flows[i].zone(),
                         rules::Address::ipv4(static_cast<std::uint32_t>(its)));
    }
    lbs_[i] = lb;
    plain &= ~(PacketMask{lb.lb == 0} << i);
  });
  return plain;
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
  if (const auto all = (std::uint64_t{1} << count) - 1; answers == all) return set;
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

// Apart, so that the others keep the registers.
template <Tracking kTracking>
[[gnu::noinline]] bool PlainLane::take_after_change(std::size_t i, Flow& flow,
                                                    FlowStage& stage) const noexcept {
  return stage.may_go_on(flow, lbs_[i]) &&
         stage.settled().take_judged<kTracking>(flow, plain_.segment(i), direction_);
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
    verdict.flow = FlowKind::none;
    verdict.rule = {};
    if (kTracking == Tracking::strict || ((sets.tracked >> i) & 1u)) {
      Flow* flow = flows.find(cells_[i], plain_.flows[i]);
      if (flow == nullptr) break;
      if (!flows.take<kTracking>(*flow, plain_.segment(i), direction_, lbs_[i]) &&
          !take_after_change<kTracking>(i, *flow, stage))
        break;
      verdict.flow = FlowKind::established;
      verdict.rule = flow->rule;
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
  work.needs_flow = true;
  work.rules = Work::Rules::unasked;
}

}  // namespace sluice::dataplane
