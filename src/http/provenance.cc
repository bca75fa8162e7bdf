#include "http/provenance.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/ip/address.hpp>
#include <charconv>
#include <random>

#include "base/text.h"

namespace safelight::http {
namespace {

namespace ip = boost::asio::ip;

/// The address as 16 bytes, IPv4 mapped into IPv6, so that one comparison does for both.
ip::address_v6::bytes_type as_bytes(const ip::address& address) {
  if (address.is_v6()) return address.to_v6().to_bytes();
  return ip::make_address_v6(ip::v4_mapped, address.to_v4()).to_bytes();
}

/// An element of X-Forwarded-For, which may carry a port: "1.2.3.4:80", "[::1]:80".
std::string_view without_port(std::string_view text) {
  if (text.starts_with('[')) return text.substr(1, std::min(text.find(']'), text.size()) - 1);
  if (std::count(text.begin(), text.end(), ':') == 1) return text.substr(0, text.find(':'));
  return text;
}

bool is_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_zero(std::string_view text) {
  return text.find_first_not_of('0') == std::string_view::npos;
}

}  // namespace

Result<TrustedProxies> TrustedProxies::parse(const std::vector<std::string>& entries) {
  TrustedProxies proxies;
  for (const std::string& entry : entries) {
    const size_t slash = std::min(entry.find('/'), entry.size());
    boost::system::error_code failure;
    Network network{.address = ip::make_address(entry.substr(0, slash), failure)};
    const unsigned most = network.address.is_v4() ? 32 : 128;
    network.bits = most;
    bool sound = !failure;
    if (slash < entry.size()) {
      const char* end = entry.data() + entry.size();
      const auto [rest, bad] = std::from_chars(entry.data() + slash + 1, end, network.bits);
      sound = sound && bad == std::errc() && rest == end && network.bits <= most;
    }
    if (!sound) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("trusted proxy '{}' is no address; something like 127.0.0.1 or "
                               "10.0.0.0/8 is needed",
                               entry)};
    }
    if (network.address.is_v4()) network.bits += 96;
    proxies.networks_.push_back(network);
  }
  return proxies;
}

bool TrustedProxies::contains(const ip::address& address) const {
  const auto bytes = as_bytes(address);
  return std::any_of(networks_.begin(), networks_.end(), [&](const Network& network) {
    const auto base = as_bytes(network.address);
    const size_t whole = network.bits / 8;
    if (!std::equal(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(whole),
                    base.begin())) {
      return false;
    }
    const unsigned rest = network.bits % 8;
    return rest == 0 || ((bytes[whole] ^ base[whole]) >> (8 - rest)) == 0;
  });
}

std::string forwarded_client(const TrustedProxies& proxies, std::string_view forwarded_for,
                             std::string_view peer) {
  std::string client(peer);
  while (!forwarded_for.empty()) {
    const size_t comma = forwarded_for.rfind(',');
    const size_t begin = comma == std::string_view::npos ? 0 : comma + 1;
    boost::system::error_code failure;
    const ip::address address =
        ip::make_address(std::string(without_port(trimmed(forwarded_for.substr(begin)))), failure);
    if (failure) break;
    client = address.to_string();
    if (!proxies.contains(address) || comma == std::string_view::npos) break;
    forwarded_for = forwarded_for.substr(0, comma);
  }
  return client;
}

bool is_request_id(std::string_view id) {
  return !id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.';
  });
}

std::string make_request_id() {
  static const uint32_t process = std::random_device{}();
  static std::atomic<uint32_t> count = 0;
  return fmt::format("{:08x}{:08x}", process, ++count);
}

bool is_traceparent(std::string_view value) {
  return value.size() == 55 && value.starts_with("00-") && value[35] == '-' && value[52] == '-' &&
         is_hex(value.substr(3, 32)) && is_hex(value.substr(36, 16)) && is_hex(value.substr(53)) &&
         !is_zero(value.substr(3, 32)) && !is_zero(value.substr(36, 16));
}

}  // namespace safelight::http
