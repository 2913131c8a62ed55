// SPDX-License-Identifier: Apache-2.0
//
// What is shown of dropped frames, on any bytes: the reading of headers, and the rules' view of a
// frame of which only the beginning is there.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "dataplane/frame_headers.h"
#include "dataplane/trace.h"
#include "rules/builtin_groups.h"
#include "rules/compile.h"

using namespace sluice;

namespace {

dataplane::Snapshot make_snapshot() {
  rules::Node node;
  node.groups[1] = std::make_shared<const rules::Group>(rules::builtin_groups().at(0));
  rules::LoadBalancer lb;
  lb.id = 1;
  lb.addresses = {{rules::Address::ipv4(0x0a00000a), rules::AddressKind::private_ip},
                  {rules::Address::ipv6(0xfd00ull << 48, 16), rules::AddressKind::private_ip}};
  lb.groups = {1};
  node.load_balancers[1] = std::make_shared<const rules::LoadBalancer>(lb);
  const std::vector<std::string> zones{"edge"};
  return {*rules::Compiler().compile(node, zones, 1), {}, {}};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const dataplane::Snapshot kSnapshot = make_snapshot();
  if (size < 3) return 0;
  const auto side = data[0] & 1 ? dataplane::Side::inside : dataplane::Side::outside;
  const auto frame_bytes = static_cast<std::uint32_t>(data[1] << 8 | data[2]);
  // A buffer of its own, so that a read past the end is seen.
  const std::vector<std::uint8_t> head(data + 3, data + size);
  if (dataplane::describe(dataplane::read_headers(head)).size() > 16 * (head.size() + 64))
    std::abort();
  const auto view = dataplane::rules_view(kSnapshot, head, frame_bytes, side, 0);
  if (!view) return 0;
  const auto explanation = dataplane::explain(*kSnapshot.table, *view);
  const bool allowed = kSnapshot.table->allows(view->key);
  if (allowed == explanation.allowing.empty()) std::abort();
  if (rules::sentence_of(explanation, view->key).empty()) std::abort();
  return 0;
}
