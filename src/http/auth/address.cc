#include "http/auth/address.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>

namespace safelight::http {
namespace {

namespace ip = boost::asio::ip;

bool is_mapped(const IpAddress& address) {
  return std::all_of(address.begin(), address.begin() + 10, [](uint8_t b) { return b == 0; }) &&
         address[10] == 0xFF && address[11] == 0xFF;
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
