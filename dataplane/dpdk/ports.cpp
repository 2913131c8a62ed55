// SPDX-License-Identifier: Apache-2.0
#include "dataplane/dpdk/ports.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <sys/random.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "dataplane/dpdk/rss.h"

namespace sluice::dataplane::dpdk {
namespace {

using rules::ErrorCode;
using rules::fail;
using rules::Problem;

constexpr std::uint16_t kDescriptors = 1024;
constexpr std::size_t kFrameRoomBytes = 2048;

std::string name_of(const std::string& device) {
  return device.substr(0, device.find(','));
}

// The value of "key=" among the device's arguments.
std::optional<std::string> argument_of(const std::string& device, const std::string& key) {
  std::size_t at = 0;
  while ((at = device.find(',', at)) != std::string::npos) {
    ++at;
    if (device.compare(at, key.size() + 1, key + "=") == 0) {
      const std::size_t first = at + key.size() + 1;
      return device.substr(first, device.find(',', first) - first);
    }
  }
  return std::nullopt;
}

std::size_t add_port(std::vector<Port>& ports, const std::string& device, Side side) {
  for (std::size_t i = 0; i < ports.size(); ++i)
    if (name_of(ports[i].device) == name_of(device)) return i;
  Port port;
  port.device = device;
  port.side = side;
  port.peer = SIZE_MAX;
  port.zone_of_vlan.fill(kNoZone);
  ports.push_back(std::move(port));
  return ports.size() - 1;
}

std::optional<std::string> address_of_interface(const std::string& interface) {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return std::nullopt;
  std::optional<std::string> found;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || interface != entry->ifa_name) continue;
    if (entry->ifa_addr->sa_family == AF_INET) found = "an IPv4 address";
    if (entry->ifa_addr->sa_family == AF_INET6 && !found) found = "an IPv6 address";
  }
  freeifaddrs(list);
  return found;
}

tl::unexpected<rules::Error> device_error(const Port& port, const std::string& what, int error) {
  return fail(ErrorCode::system, "device \"" + port.device + "\" " + what + " (" +
                                     rte_strerror(error < 0 ? -error : error) + ")");
}

rules::Result<rte_eth_dev_info> probe(Port& port) {
  // PCI devices were probed when DPDK started; virtual ones are made here.
  if (!is_pci_address(port.device)) {
    if (const int error = rte_dev_probe(port.device.c_str()); error != 0) {
      return device_error(port, "could not be opened; check the driver's name and its arguments",
                          error);
    }
  }
  if (rte_eth_dev_get_port_by_name(name_of(port.device).c_str(), &port.port_id) != 0) {
    return fail(ErrorCode::system,
                "device \"" + port.device +
                    "\" is no Ethernet port that DPDK can use; for a PCI device bind a driver "
                    "(dpdk-devbind.py --bind=vfio-pci)");
  }
  rte_eth_dev_info info{};
  if (const int error = rte_eth_dev_info_get(port.port_id, &info); error != 0)
    return device_error(port, "does not answer", error);
  return info;
}

rules::Result<void> configure(Port& port, const rte_eth_dev_info& info, unsigned workers,
                              const std::optional<SymmetricRss>& rss) {
  port.rx_queues = static_cast<std::uint16_t>(rss ? workers : 1);
  port.tx_queues = static_cast<std::uint16_t>(info.max_tx_queues >= workers ? workers : 1);
  const rte_eth_conf plain{};
  const std::optional<RssConf> spread =
      rss ? std::optional<RssConf>(std::in_place, *rss, info) : std::nullopt;
  const int error = rte_eth_dev_configure(port.port_id, port.rx_queues, port.tx_queues,
                                          spread ? &spread->conf : &plain);
  if (error != 0) return device_error(port, "could not be configured", error);
  return {};
}

rules::Result<void> start(const Port& port, rte_mempool* pool) {
  std::uint16_t rx = kDescriptors, tx = kDescriptors;
  (void)rte_eth_dev_adjust_nb_rx_tx_desc(port.port_id, &rx, &tx);
  const auto socket = static_cast<unsigned>(rte_eth_dev_socket_id(port.port_id));
  int error = 0;
  for (std::uint16_t queue = 0; error == 0 && queue < port.rx_queues; ++queue)
    error = rte_eth_rx_queue_setup(port.port_id, queue, rx, socket, nullptr, pool);
  for (std::uint16_t queue = 0; error == 0 && queue < port.tx_queues; ++queue)
    error = rte_eth_tx_queue_setup(port.port_id, queue, tx, socket, nullptr);
  if (error == 0) error = rte_eth_dev_start(port.port_id);
  if (error != 0) return device_error(port, "could not be started", error);
  // A bump in the wire takes frames that are addressed to others; a driver without the switch
  // (net_ring, net_null) takes them anyway.
  (void)rte_eth_promiscuous_enable(port.port_id);
  return {};
}

// 16 bits of which about half are set: few would hardly tell hosts apart.
std::uint16_t draw_pattern() {
  std::uint16_t pattern = 0;
  for (int tries = 0; tries < 64; ++tries) {
    if (getrandom(&pattern, sizeof(pattern), 0) != sizeof(pattern)) break;
    const int set = std::popcount(pattern);
    if (set >= 6 && set <= 10) return pattern;
  }
  return SymmetricRss{}.pattern;
}

}  // namespace

// "0000:3b:00.0" or "3b:00.0", and arguments behind a comma.
bool is_pci_address(const std::string& device) {
  unsigned domain = 0, bus = 0, slot = 0, function = 0;
  int end = 0;
  const std::string name = name_of(device);
  const bool is_long =
      std::sscanf(name.c_str(), "%4x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function, &end) == 4;
  const bool is_short =
      !is_long && std::sscanf(name.c_str(), "%2x:%2x.%1x%n", &bus, &slot, &function, &end) == 3;
  return (is_long || is_short) && static_cast<std::size_t>(end) == name.size();
}

std::size_t frame_room_bytes(const std::string& device) {
  // net_af_packet copies a frame into one mbuf without a look at its room.
  std::size_t size = 0;
  if (const auto text = argument_of(device, "framesz"))
    std::from_chars(text->data(), text->data() + text->size(), size);
  return std::max(size, kFrameRoomBytes);
}

rules::Result<std::vector<Port>> plan_ports(const std::vector<ZoneConfig>& zones) {
  std::vector<Port> ports;
  std::vector<Problem> problems;
  for (std::size_t i = 0; i < zones.size(); ++i) {
    const ZoneConfig& zone = zones[i];
    const auto refuse = [&](std::string why) {
      problems.push_back({"zone " + zone.name, std::move(why)});
    };
    for (std::size_t j = 0; j < i; ++j)
      if (zones[j].name == zone.name) refuse("the name stands twice");
    if (name_of(zone.outside) == name_of(zone.inside)) {
      refuse("outside and inside are the same device \"" + name_of(zone.outside) + "\"");
      continue;
    }
    const std::size_t outside = add_port(ports, zone.outside, Side::outside);
    const std::size_t inside = add_port(ports, zone.inside, Side::inside);
    const std::uint16_t vlan = zone.vlan.value_or(0);
    for (const auto& [port, peer, side] :
         {std::tuple{outside, inside, Side::outside}, std::tuple{inside, outside, Side::inside}}) {
      if (ports[port].side != side || (ports[port].peer != SIZE_MAX && ports[port].peer != peer)) {
        refuse("device \"" + name_of(ports[port].device) +
               "\" is paired otherwise in another zone");
      } else if (ports[port].zone_of_vlan[vlan] != kNoZone) {
        refuse("another zone has these devices with the same VLAN; give each its own vlan=");
      } else {
        ports[port].peer = peer;
        ports[port].zone_of_vlan[vlan] = static_cast<std::uint16_t>(i);
      }
    }
  }
  if (zones.empty())
    problems.push_back({"zone", "at least one is needed: --zone NAME,outside=DEV,inside=DEV"});
  if (!problems.empty()) {
    std::string message = problems[0].where + ": " + problems[0].message;
    return fail(rules::Error{ErrorCode::invalid, message, std::move(problems)});
  }
  return ports;
}

rules::Result<void> check_devices(const std::vector<Port>& ports) {
  for (const Port& port : ports) {
    const auto interface = argument_of(port.device, "iface");
    if (!interface) continue;
    if (if_nametoindex(interface->c_str()) == 0) {
      return fail(ErrorCode::system, "there is no network interface \"" + *interface +
                                         "\" here (device \"" + port.device +
                                         "\"); ip link shows those there are");
    }
    // An af_packet port sees copies: what the kernel can route, it routes past us.
    if (const auto address = address_of_interface(*interface)) {
      return fail(ErrorCode::system,
                  "interface " + *interface + " has " + *address +
                      ", so the kernel would answer and forward beside Sluice; remove it: ip "
                      "address flush dev " +
                      *interface + "; sysctl -w net.ipv6.conf." + *interface + ".disable_ipv6=1");
    }
  }
  return {};
}

rules::Result<std::optional<SymmetricRss>> open_ports(std::vector<Port>& ports, unsigned workers,
                                                      bool allow_rss, rte_mempool* pool) {
  std::vector<rte_eth_dev_info> infos;
  for (Port& port : ports) {
    auto info = probe(port);
    if (!info) return tl::unexpected(info.error());
    infos.push_back(*info);
  }
  const auto rss = allow_rss ? plan_rss(infos, workers, draw_pattern()) : std::nullopt;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    if (auto done = configure(ports[i], infos[i], workers, rss); !done)
      return tl::unexpected(done.error());
    if (auto done = start(ports[i], pool); !done) return tl::unexpected(done.error());
    // Refused: the port spreads as it likes, and workers hand over more.
    if (rss) (void)program_table(ports[i].port_id, infos[i], *rss, workers);
  }
  return rss;
}

void close_ports(const std::vector<Port>& ports) {
  for (const Port& port : ports) {
    rte_eth_dev_stop(port.port_id);
    rte_eth_dev_close(port.port_id);
  }
}

PortReport report_port(const Port& port) {
  rte_eth_stats stats{};
  (void)rte_eth_stats_get(port.port_id, &stats);
  return {port.device, port.side == Side::outside ? "outside" : "inside", stats.ipackets,
          stats.opackets, stats.imissed + stats.rx_nombuf + stats.ierrors};
}

}  // namespace sluice::dataplane::dpdk
