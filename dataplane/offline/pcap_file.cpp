// SPDX-License-Identifier: Apache-2.0
#include "dataplane/offline/pcap_file.h"

#include <pcap/pcap.h>

#include <array>

namespace sluice::dataplane::offline {
namespace {

using rules::ErrorCode;
using rules::fail;

struct CloseCapture {
  void operator()(pcap_t* capture) const { pcap_close(capture); }
};
using Capture = std::unique_ptr<pcap_t, CloseCapture>;

}  // namespace

rules::Result<std::vector<Input>> read_pcap(const std::string& path, Side side) {
  std::array<char, PCAP_ERRBUF_SIZE> error{};
  const Capture capture(pcap_open_offline_with_tstamp_precision(
      path.c_str(), PCAP_TSTAMP_PRECISION_NANO, error.data()));
  if (!capture) return fail(ErrorCode::invalid, path + ": " + error.data());
  if (pcap_datalink(capture.get()) != DLT_EN10MB) {
    return fail(ErrorCode::invalid, path + ": not a capture of Ethernet frames");
  }
  std::vector<Input> inputs;
  pcap_pkthdr* header = nullptr;
  const u_char* bytes = nullptr;
  int status = 0;
  while ((status = pcap_next_ex(capture.get(), &header, &bytes)) == 1) {
    if (header->caplen < header->len) {
      return fail(ErrorCode::invalid,
                  path + ": packet " + std::to_string(inputs.size() + 1) +
                      " was cut when it was captured; capture whole packets (tcpdump -s 0)");
    }
    inputs.push_back({static_cast<TimeNs>(header->ts.tv_sec) * 1'000'000'000 +
                          static_cast<TimeNs>(header->ts.tv_usec),
                      side,
                      {bytes, bytes + header->caplen}});
  }
  if (status == PCAP_ERROR) {
    return fail(ErrorCode::invalid, path + ": " + pcap_geterr(capture.get()));
  }
  return inputs;
}

struct PcapWriter::Parts {
  std::string path;
  Capture format;
  pcap_dumper_t* file = nullptr;
};

void PcapWriter::Delete::operator()(Parts* parts) const {
  if (parts->file != nullptr) pcap_dump_close(parts->file);
  delete parts;
}

PcapWriter::PcapWriter(std::unique_ptr<Parts, Delete> parts) : parts_(std::move(parts)) {}

rules::Result<PcapWriter> PcapWriter::open(const std::string& path) {
  std::unique_ptr<Parts, Delete> parts(new Parts);
  parts->path = path;
  parts->format.reset(
      pcap_open_dead_with_tstamp_precision(DLT_EN10MB, 262144, PCAP_TSTAMP_PRECISION_NANO));
  parts->file = pcap_dump_open(parts->format.get(), path.c_str());
  if (parts->file == nullptr) {
    return fail(ErrorCode::system, path + ": " + pcap_geterr(parts->format.get()));
  }
  return PcapWriter(std::move(parts));
}

void PcapWriter::write(TimeNs time_ns, std::span<const std::uint8_t> frame) {
  pcap_pkthdr header{};
  header.ts.tv_sec = static_cast<time_t>(time_ns / 1'000'000'000);
  header.ts.tv_usec = static_cast<suseconds_t>(time_ns % 1'000'000'000);
  header.caplen = header.len = static_cast<bpf_u_int32>(frame.size());
  pcap_dump(reinterpret_cast<u_char*>(parts_->file), &header, frame.data());
}

rules::Result<void> PcapWriter::close() {
  if (pcap_dump_flush(parts_->file) != 0) {
    return fail(ErrorCode::system, parts_->path + ": could not be written (is the disk full?)");
  }
  return {};
}

}  // namespace sluice::dataplane::offline
