// SPDX-License-Identifier: Apache-2.0
#include "tests/control/change_twin.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace sluice::tests {
namespace {

constexpr std::size_t kPendingAtMost = 64;

// Names and addresses once, nothing that names what is not there.
bool is_sound(const TwinNode& node) {
  std::set<std::string> group_names, vpc_names, lb_names;
  std::set<std::pair<std::string, unsigned>> claims;
  for (const auto& [id, vpc] : node.vpcs)
    if (!vpc_names.insert(vpc.name).second) return false;
  for (const auto& [id, group] : node.groups) {
    if (!group_names.insert(group.name).second) return false;
    for (const auto& [rule_id, rule] : group.rules)
      if (rule.vpc != 0 && !node.vpcs.contains(rule.vpc)) return false;
  }
  for (const auto& [id, lb] : node.lbs) {
    if (!lb_names.insert(lb.name).second || !lb.groups.contains(lb.default_group)) return false;
    for (const auto& [address, is_public] : lb.addresses)
      if (!claims.insert({lb.zone, address}).second) return false;
    for (unsigned group : lb.groups)
      if (!node.groups.contains(group)) return false;
  }
  return node.groups.contains(node.account_default);
}

bool changes_attachments(const std::string& status) {
  return status == "Running" || status == "Backend Connection Failure";
}

auto registration_of(const TwinLb& lb) {
  return std::tie(lb.name, lb.zone, lb.registration, lb.addresses);
}

// Keys of both maps whose values `differ`; a value that is in one only does.
template <class Map, class Differ, class Visit>
void each_changed(const Map& before, const Map& after, Differ differ, Visit visit) {
  std::set<unsigned> ids;
  for (const auto& [id, value] : before) ids.insert(id);
  for (const auto& [id, value] : after) ids.insert(id);
  for (unsigned id : ids) {
    const bool was = before.contains(id), is = after.contains(id);
    if (was != is || differ(before.at(id), after.at(id))) visit(id);
  }
}

std::set<Touch> touches(const TwinNode& before, const TwinNode& after) {
  std::set<Touch> touched;
  const auto rewritten = [](const auto& a, const auto& b) { return a.version != b.version; };
  each_changed(before.vpcs, after.vpcs, rewritten, [&](unsigned id) { touched.insert({'v', id}); });
  each_changed(before.groups, after.groups, rewritten, [&](unsigned id) {
    touched.insert({'g', id});
  });
  each_changed(
      before.lbs, after.lbs,
      [](const TwinLb& a, const TwinLb& b) { return registration_of(a) != registration_of(b); },
      [&](unsigned id) {
        touched.insert({'l', id});
      });
  for (const auto& [id, lb] : before.lbs) {
    const bool stays = after.lbs.contains(id);
    for (unsigned group : lb.groups)
      if (stays ? !after.lbs.at(id).groups.contains(group) : before.expiries.contains({id, group}))
        touched.insert({'a', id, group});
    if (!stays) continue;
    for (unsigned group : after.lbs.at(id).groups)
      if (!lb.groups.contains(group)) touched.insert({'a', id, group});
  }
  if (before.account_default != after.account_default) touched.insert({'d', 0});
  return touched;
}

// Both touch the same, or one an LB and the other what is attached to it.
bool collide(const std::set<Touch>& a, const std::set<Touch>& b) {
  for (const Touch& mine : a)
    for (const Touch& theirs : b) {
      if (mine == theirs) return true;
      const bool is_lb_and_attachment =
          (mine.what == 'l' && theirs.what == 'a') || (mine.what == 'a' && theirs.what == 'l');
      if (is_lb_and_attachment && mine.id == theirs.id) return true;
    }
  return false;
}

void forget_ended(TwinNode& node) {
  std::erase_if(node.expiries, [&](const auto& expiry) {
    const auto lb = node.lbs.find(expiry.first.first);
    return lb == node.lbs.end() || !lb->second.groups.contains(expiry.first.second);
  });
}

template <class Map>
void put_back(Map& now, const Map& before, unsigned id) {
  now.erase(id);
  if (before.contains(id)) now[id] = before.at(id);
}

void put_lb_back(TwinNode& node, const TwinNode& before, unsigned id) {
  if (!before.lbs.contains(id) || !node.lbs.contains(id)) return put_back(node.lbs, before.lbs, id);
  TwinLb lb = before.lbs.at(id);
  lb.status = node.lbs.at(id).status;
  lb.groups = node.lbs.at(id).groups;
  lb.default_group = node.lbs.at(id).default_group;
  node.lbs[id] = lb;
}

void put_attachment_back(TwinNode& node, const TwinNode& before, TwinAttachment attachment) {
  const auto lb = node.lbs.find(attachment.first);
  if (lb == node.lbs.end()) return;
  lb->second.groups.erase(attachment.second);
  node.expiries.erase(attachment);
  if (!before.lbs.at(attachment.first).groups.contains(attachment.second)) return;
  lb->second.groups.insert(attachment.second);
  if (before.expiries.contains(attachment))
    node.expiries[attachment] = before.expiries.at(attachment);
}

TwinNode rolled_back(const TwinPending& pending, TwinNode node) {
  const TwinNode& before = *pending.before;
  for (const Touch& touch : pending.touched) {
    if (touch.what == 'v') put_back(node.vpcs, before.vpcs, touch.id);
    if (touch.what == 'g') put_back(node.groups, before.groups, touch.id);
    if (touch.what == 'l') put_lb_back(node, before, touch.id);
    if (touch.what == 'd') node.account_default = before.account_default;
  }
  for (const Touch& touch : pending.touched)
    if (touch.what == 'a') put_attachment_back(node, before, {touch.id, touch.group});
  forget_ended(node);
  return node;
}

template <class Map>
std::optional<unsigned> id_named(const Map& map, const std::string& name) {
  for (const auto& [id, value] : map)
    if (value.name == name) return id;
  return std::nullopt;
}

std::vector<std::pair<unsigned, bool>> addresses_of(const AskedLb& lb, bool is_public) {
  std::vector<std::pair<unsigned, bool>> addresses;
  for (unsigned address : lb.addresses) addresses.emplace_back(address, is_public);
  return addresses;
}

// One ask on one copy of the twin. Each function answers the refusal, or "".
class Perform {
 public:
  Perform(const Ask& ask, Verdict& verdict)
      : ask_(ask), verdict_(verdict), twin_(verdict.next), node_(verdict.next.node) {}

  std::string run() {
    switch (ask_.kind) {
      case AskKind::create_group:
        return create_group();
      case AskKind::update_group:
        return update_group();
      case AskKind::delete_group:
        return delete_group();
      case AskKind::mark_default:
        if (!node_.groups.contains(ask_.id)) return "not_found";
        node_.account_default = ask_.id;
        return "";
      case AskKind::create_vpc:
        return put_vpc(0);
      case AskKind::update_vpc:
        return node_.vpcs.contains(ask_.id) ? put_vpc(ask_.id) : "not_found";
      case AskKind::delete_vpc:
        if (node_.vpcs.erase(ask_.id) == 0) return "not_found";
        return sound_or_conflict();
      case AskKind::register_lb:
        return register_lb();
      case AskKind::replace_lb:
        return replace_lb();
      case AskKind::set_status:
        if (!node_.lbs.contains(ask_.id)) return "not_found";
        if (ask_.is_malformed) return "invalid";
        node_.lbs[ask_.id].status = ask_.lb.status;
        return "";
      case AskKind::delete_lb:
        return node_.lbs.erase(ask_.id) == 0 ? "not_found" : "";
      case AskKind::attach:
      case AskKind::detach:
        return attach_or_detach();
      case AskKind::confirm:
        return twin_.pending.erase(ask_.id) == 0 ? "not_found" : "";
      case AskKind::roll_back:
        return roll_back();
      case AskKind::apply:
        return apply();
    }
    return "";
  }

 private:
  [[nodiscard]] std::string sound_or_conflict() const { return is_sound(node_) ? "" : "conflict"; }

  // What comes back as it was keeps its id.
  void put_rules(TwinGroup& group, const std::vector<AskedRule>& rules) {
    std::map<AskedRule, unsigned> ids;
    for (const auto& [id, rule] : group.rules) ids[rule] = id;
    group.rules.clear();
    for (const AskedRule& rule : rules)
      group.rules.emplace_back(ids.contains(rule) ? ids[rule] : twin_.next_rule++, rule);
    ++group.version;
  }

  [[nodiscard]] bool names_unknown_vpc() const {
    return std::any_of(ask_.group.rules.begin(), ask_.group.rules.end(), [&](const auto& rule) {
      return rule.vpc != 0 && !node_.vpcs.contains(rule.vpc);
    });
  }

  std::string create_group() {
    if (ask_.is_malformed || names_unknown_vpc()) return "invalid";
    verdict_.made = twin_.next_group++;
    TwinGroup& group = node_.groups[verdict_.made];
    group.name = ask_.group.name;
    put_rules(group, ask_.group.rules);
    if (ask_.as_default) node_.account_default = verdict_.made;
    return sound_or_conflict();
  }
  std::string update_group() {
    if (!node_.groups.contains(ask_.id)) return "not_found";
    if (ask_.is_malformed || names_unknown_vpc()) return "invalid";
    TwinGroup& group = node_.groups[ask_.id];
    group.name = ask_.group.name;
    put_rules(group, ask_.group.rules);
    return sound_or_conflict();
  }
  std::string delete_group() {
    if (node_.groups.erase(ask_.id) == 0) return "not_found";
    return sound_or_conflict();
  }
  std::string put_vpc(unsigned id) {
    if (ask_.is_malformed) return "invalid";
    if (id == 0) id = verdict_.made = twin_.next_vpc++;
    node_.vpcs[id] = {ask_.vpc.name, ask_.vpc.net, node_.vpcs[id].version + 1};
    return sound_or_conflict();
  }

  std::string register_lb() {
    if (ask_.is_malformed) return "invalid";
    TwinLb lb{ask_.lb.name,
              ask_.lb.zone,
              ask_.lb.status,
              "{}",
              addresses_of(ask_.lb, true),
              {node_.account_default},
              node_.account_default};
    TwinNode claimed = node_;
    claimed.lbs[twin_.next_lb] = lb;
    if (!is_sound(claimed)) return "conflict";
    if (!ask_.groups.empty()) {
      lb.groups = {ask_.groups.begin(), ask_.groups.end()};
      lb.default_group = ask_.groups[0];
      if (const auto refusal = check_ids(); !refusal.empty()) return refusal;
    }
    verdict_.made = twin_.next_lb++;
    node_.lbs[verdict_.made] = lb;
    return "";
  }
  std::string replace_lb() {
    if (!node_.lbs.contains(ask_.id)) return "not_found";
    if (ask_.is_malformed) return "invalid";
    TwinLb& lb = node_.lbs[ask_.id];
    lb.name = ask_.lb.name;
    lb.zone = ask_.lb.zone;
    lb.registration = "{}";
    lb.addresses = addresses_of(ask_.lb, true);
    if (!ask_.lb.status.empty()) lb.status = ask_.lb.status;
    return sound_or_conflict();
  }

  [[nodiscard]] std::string check_ids() const {
    for (unsigned id : ask_.groups)
      if (!node_.groups.contains(id)) return "not_found";
    const std::set<unsigned> once(ask_.groups.begin(), ask_.groups.end());
    return once.size() == ask_.groups.size() ? "" : "invalid";
  }
  std::string attach_or_detach() {
    if (!node_.lbs.contains(ask_.id)) return "not_found";
    TwinLb& lb = node_.lbs[ask_.id];
    if (!changes_attachments(lb.status)) return "conflict";
    if (ask_.is_malformed) return "invalid";
    if (const auto refusal = check_ids(); !refusal.empty()) return refusal;
    for (unsigned id : ask_.groups) {
      const bool is_there = lb.groups.contains(id);
      if (ask_.kind == AskKind::attach ? is_there : !is_there || id == lb.default_group)
        return "conflict";
      if (ask_.kind == AskKind::attach) {
        lb.groups.insert(id);
      } else {
        lb.groups.erase(id);
      }
    }
    return "";
  }
  std::string roll_back() {
    const auto pending = twin_.pending.find(ask_.id);
    if (pending == twin_.pending.end()) return "not_found";
    node_ = rolled_back(pending->second, node_);
    twin_.pending.erase(pending);
    return "";  // it cannot fail
  }

  std::string apply();
  bool apply_groups(const TwinNode& before);
  bool apply_lb(const TwinNode& before, const AskedLb& asked);
  void apply_vpcs(const TwinNode& before);

  const Ask& ask_;
  Verdict& verdict_;
  ChangeTwin& twin_;
  TwinNode& node_;
};

// Names are identities; what does not change is not written.
void Perform::apply_vpcs(const TwinNode& before) {
  node_.vpcs.clear();
  for (const AskedVpc& asked : *ask_.document.vpcs) {
    const auto old = id_named(before.vpcs, asked.name);
    const unsigned id = old ? *old : twin_.next_vpc++;
    TwinVpc vpc = old ? before.vpcs.at(id) : TwinVpc{asked.name, asked.net, 1};
    if (vpc.net != asked.net) vpc = {asked.name, asked.net, vpc.version + 1};
    node_.vpcs[id] = vpc;
  }
}

bool Perform::apply_groups(const TwinNode& before) {
  node_.groups.clear();
  for (const auto& [id, group] : before.groups)
    if (group.name == "default" || group.name == "Allow-All-Traffic") node_.groups[id] = group;
  for (const AskedGroup& asked : *ask_.document.groups) {
    if (asked.is_absent) {
      if (const auto id = id_named(node_.groups, asked.name)) node_.groups.erase(*id);
      continue;
    }
    std::vector<AskedRule> rules = asked.rules;
    for (AskedRule& rule : rules) {
      if (rule.vpc == 0) continue;
      const auto vpc = id_named(node_.vpcs, fmt::format("v{}", rule.vpc));
      if (!vpc) return false;
      rule.vpc = *vpc;
    }
    const auto old = id_named(before.groups, asked.name);
    const unsigned id = old ? *old : twin_.next_group++;
    TwinGroup group = old ? before.groups.at(id) : TwinGroup{asked.name, {}, 0};
    const auto rules_before = group.rules;
    const unsigned version = group.version;
    put_rules(group, rules);
    if (old && group.rules == rules_before) group.version = version;
    node_.groups[id] = group;
  }
  return true;
}

bool Perform::apply_lb(const TwinNode& before, const AskedLb& asked) {
  const auto old = id_named(before.lbs, asked.name);
  const unsigned id = old ? *old : twin_.next_lb++;
  TwinLb lb;
  lb.name = asked.name;
  if (old) lb = before.lbs.at(id);
  lb.zone = asked.zone;
  const std::string status = lb.status;
  lb.status = asked.status;
  const auto kinds = lb.addresses;
  lb.addresses.clear();
  for (auto address : addresses_of(asked, false)) {
    for (const auto& known : kinds)
      if (known.first == address.first) address = known;
    lb.addresses.push_back(address);
  }
  std::set<unsigned> groups;
  for (const std::string& name : asked.groups) {
    const auto group = id_named(node_.groups, name);
    if (!group || !groups.insert(*group).second) return false;
    if (lb.default_group == 0) lb.default_group = *group;
  }
  if (old && groups != lb.groups && !changes_attachments(status) && !changes_attachments(lb.status))
    return false;
  lb.groups = groups;
  node_.lbs[id] = lb;
  return true;
}

std::string Perform::apply() {
  const TwinNode before = node_;
  const AskedDocument& document = ask_.document;
  std::set<std::string> names;
  if (ask_.is_malformed) return "refused";
  if (document.vpcs) {
    for (const AskedVpc& vpc : *document.vpcs)
      if (!names.insert("v " + vpc.name).second) return "refused";
    apply_vpcs(before);
  }
  if (document.groups) {
    for (const AskedGroup& group : *document.groups)
      if (!names.insert("g " + group.name).second) return "refused";
    if (!apply_groups(before)) return "refused";
  }
  if (document.default_group) {
    const auto id = id_named(node_.groups, *document.default_group);
    if (!id) return "refused";
    node_.account_default = *id;
  }
  if (document.lbs) {
    node_.lbs.clear();
    for (const AskedLb& lb : *document.lbs)
      if (!names.insert("l " + lb.name).second || !apply_lb(before, lb)) return "refused";
  }
  if (!is_sound(node_)) return "refused";
  ChangeTwin unchanged = twin_;
  unchanged.node = before;
  verdict_.is_answer_only = unchanged.text() == twin_.text();
  return "";
}

}  // namespace

Verdict ChangeTwin::judge(const Ask& ask, std::int64_t now) const {
  Verdict verdict{"", *this};
  if (ask.if_match && *ask.if_match != generation) return {"stale", *this};
  if (ask.has_bad_option) return {"invalid", *this};
  ChangeTwin& next = verdict.next;
  verdict.refusal = Perform(ask, verdict).run();
  if (!verdict.refusal.empty()) return verdict;
  if (ask.expires_in_s != 0 && ask.kind != AskKind::attach) return {"invalid", *this};
  if (ask.expires_in_s != 0)
    for (unsigned group : ask.groups)
      next.node.expiries[{ask.id, group}] = now + std::int64_t{ask.expires_in_s} * 1000;
  forget_ended(next.node);
  const std::set<Touch> touched = touches(node, next.node);
  for (const auto& [id, waiting] : pending)
    if (next.pending.contains(id) &&
        (collide(waiting.touched, touched) || !is_sound(rolled_back(waiting, next.node))))
      return {"conflict", *this};
  if (ask.confirm_within_s != 0 && !verdict.is_answer_only) {
    if (next.pending.size() >= kPendingAtMost) return {"conflict", *this};
    verdict.change = next.next_change++;
    next.pending[verdict.change] = {now + std::int64_t{ask.confirm_within_s} * 1000, touched,
                                    std::make_shared<const TwinNode>(node)};
  }
  return verdict;
}

bool ChangeTwin::end_attachment(const TwinAttachment& attachment, std::int64_t now) {
  const auto found = node.expiries.find(attachment);
  if (found == node.expiries.end()) return true;  // what it ended with came first
  if (found->second > now) return false;
  node.expiries.erase(found);
  node.lbs.at(attachment.first).groups.erase(attachment.second);
  return true;
}

bool ChangeTwin::roll_back_unconfirmed(unsigned change, std::int64_t now) {
  const auto found = pending.find(change);
  if (found == pending.end() || found->second.confirm_by > now) return false;
  node = rolled_back(found->second, node);
  pending.erase(found);
  return is_sound(node);
}

bool ChangeTwin::is_anything_due(std::int64_t now) const {
  for (const auto& [attachment, at] : node.expiries)
    if (at <= now) return true;
  for (const auto& [id, waiting] : pending)
    if (waiting.confirm_by <= now) return true;
  return false;
}

unsigned ChangeTwin::owner_of(const Probe& probe) const {
  for (const auto& [id, lb] : node.lbs)
    for (const auto& [address, is_public] : lb.addresses)
      if (lb.zone == probe.zone && address == probe.address) return id;
  return 0;
}

bool ChangeTwin::allows(const Probe& probe) const {
  const unsigned lb = owner_of(probe);
  if (lb == 0) return false;
  for (unsigned group : node.lbs.at(lb).groups)
    for (const auto& [id, rule] : node.groups.at(group).rules) {
      if (rule.is_inbound != probe.is_inbound || rule.kind == 'i') continue;
      if (rule.kind == 't' && rule.port != probe.port) continue;
      if (rule.manual != 0 && (probe.remote != 'm' || probe.net != rule.manual)) continue;
      if (rule.vpc != 0 && (probe.remote != 'n' || probe.net != node.vpcs.at(rule.vpc).net))
        continue;
      return true;
    }
  return false;
}

}  // namespace sluice::tests
