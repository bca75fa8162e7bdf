#include "http/provenance.h"

#include <gtest/gtest.h>

namespace safelight::http {
namespace {

using boost::asio::ip::make_address;

TEST(Provenance, NetworksHoldTheirAddresses) {
  const auto proxies = TrustedProxies::parse({"127.0.0.1", "10.1.0.0/15", "fd00::/8"});
  ASSERT_TRUE(proxies);
  EXPECT_TRUE(proxies->contains(make_address("127.0.0.1")));
  EXPECT_TRUE(proxies->contains(make_address("::ffff:127.0.0.1")));
  EXPECT_FALSE(proxies->contains(make_address("127.0.0.2")));
  EXPECT_TRUE(proxies->contains(make_address("10.0.3.4")));
  EXPECT_FALSE(proxies->contains(make_address("10.2.0.1")));
  EXPECT_TRUE(proxies->contains(make_address("fd12::1")));
  EXPECT_FALSE(proxies->contains(make_address("fe80::1")));
}

TEST(Provenance, BadNetworksAreNamed) {
  for (const char* entry : {"proxy", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/8x", ""}) {
    const auto proxies = TrustedProxies::parse({entry});
    ASSERT_FALSE(proxies) << entry;
    EXPECT_NE(proxies.error().message.find("'" + std::string(entry) + "'"), std::string::npos);
  }
}

TEST(Provenance, TheClientIsTheLastThatNoProxyIs) {
  const auto proxies = *TrustedProxies::parse({"10.0.0.0/8"});
  EXPECT_EQ(forwarded_client(proxies, "", "10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(forwarded_client(proxies, "1.2.3.4", "10.0.0.1"), "1.2.3.4");
  EXPECT_EQ(forwarded_client(proxies, "6.6.6.6, 1.2.3.4, 10.0.0.2", "10.0.0.1"), "1.2.3.4");
  EXPECT_EQ(forwarded_client(proxies, "10.0.0.3, 10.0.0.2", "10.0.0.1"), "10.0.0.3");
  EXPECT_EQ(forwarded_client(proxies, "1.2.3.4, nonsense", "10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(forwarded_client(proxies, ",,", "10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(forwarded_client(proxies, "1.2.3.4:5678", "10.0.0.1"), "1.2.3.4");
  EXPECT_EQ(forwarded_client(proxies, "[2001:db8::1]:443", "10.0.0.1"), "2001:db8::1");
  EXPECT_EQ(forwarded_client(proxies, "[", "10.0.0.1"), "10.0.0.1");
}

TEST(Provenance, RequestIdsAreShortAndPlain) {
  EXPECT_TRUE(is_request_id("0af7-65.x_Y"));
  EXPECT_FALSE(is_request_id(""));
  EXPECT_FALSE(is_request_id("a b"));
  EXPECT_FALSE(is_request_id("a\r\nb"));
  EXPECT_FALSE(is_request_id(std::string(65, 'a')));
  EXPECT_NE(make_request_id(), make_request_id());
}

TEST(Provenance, Traceparents) {
  EXPECT_TRUE(is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
  EXPECT_FALSE(is_traceparent("00-00000000000000000000000000000000-b7ad6b7169203331-01"));
  EXPECT_FALSE(is_traceparent("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"));
  EXPECT_FALSE(is_traceparent("00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
  EXPECT_FALSE(is_traceparent("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
  EXPECT_FALSE(is_traceparent(""));
}

}  // namespace
}  // namespace safelight::http
