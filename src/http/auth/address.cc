#include "http/auth/address.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <charconv>

#include "base/text.h"

namespace safelight::http {
namespace {

namespace ip = boost::asio::ip;

constexpr int kMappedBits = 96;  // that come before an IPv4 address

bool is_mapped(const IpAddress& address) {
  return std::all_of(address.begin(), address.begin() + 10, [](uint8_t b) { return b == 0; }) &&
         address[10] == 0xFF && address[11] == 0xFF;
}

/// An element of X-Forwarded-For, which may carry a port.
std::string_view without_port(std::string_view text) {
  if (text.starts_with('[')) return text.substr(1, text.find(']') - 1);
  if (std::count(text.begin(), text.end(), ':') == 1) return text.substr(0, text.find(':'));
  return text;
}

}  // namespace

std::optional<IpAddress> parse_address(std::string_view text) {
  boost::system::error_code failure;
  const ip::address parsed = ip::make_address(std::string(text), failure);
  if (failure) return std::nullopt;
  return (parsed.is_v4() ? ip::make_address_v6(ip::v4_mapped, parsed.to_v4()) : parsed.to_v6())
      .to_bytes();
}

bool is_loopback(const IpAddress& address) {
  if (is_mapped(address)) return address[12] == 127;
  return address == IpAddress(ip::address_v6::loopback().to_bytes());
}

bool Network::contains(const IpAddress& address) const {
  for (int bit = 0; bit < bits; ++bit) {
    const int shift = 7 - bit % 8;
    if (((first[bit / 8] ^ address[bit / 8]) >> shift & 1) != 0) return false;
  }
  return true;
}

Result<Network> parse_network(std::string_view text) {
  const size_t slash = text.find('/');
  const auto address = parse_address(text.substr(0, slash));
  const auto fault = [&] {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("'{}' is no address or network; they are written 192.0.2.7, "
                             "10.0.0.0/8 or fd00::/8",
                             text)};
  };
  if (!address) return fault();
  Network network{.first = *address};
  if (slash == std::string_view::npos) return network;
  const bool v4 = text.find(':') == std::string_view::npos;
  const std::string_view digits = text.substr(slash + 1);
  int bits = -1;
  const auto [end, bad] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  if (bad != std::errc() || end != digits.data() + digits.size()) return fault();
  if (bits < 0 || bits > (v4 ? 32 : 128)) return fault();
  network.bits = bits + (v4 ? kMappedBits : 0);
  return network;
}

std::string client_address(std::string_view peer, std::string_view forwarded_for,
                           const std::vector<Network>& trusted) {
  const auto is_trusted = [&](std::string_view text) {
    const auto address = parse_address(text);
    return address && std::any_of(trusted.begin(), trusted.end(),
                                  [&](const Network& n) { return n.contains(*address); });
  };
  std::string_view client = peer;
  while (is_trusted(client) && !forwarded_for.empty()) {
    const size_t comma = forwarded_for.rfind(',');
    const size_t begin = comma == std::string_view::npos ? 0 : comma + 1;
    const std::string_view before = without_port(trimmed(forwarded_for.substr(begin)));
    forwarded_for = forwarded_for.substr(0, begin == 0 ? 0 : comma);
    if (!parse_address(before)) break;  // not an address: nobody vouches for what comes before
    client = before;
  }
  return std::string(client);
}

std::string limit_key(std::string_view address) {
  const auto parsed = parse_address(address);
  if (!parsed) return std::string(address);
  if (is_mapped(*parsed))
    return ip::make_address_v4(ip::v4_mapped, ip::address_v6(*parsed)).to_string();
  IpAddress network = *parsed;
  std::fill(network.begin() + 8, network.end(), uint8_t{0});
  return ip::address_v6(network).to_string() + "/64";
}

}  // namespace safelight::http
