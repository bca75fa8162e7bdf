#pragma once

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>

#include "http/auth/route_table.h"
#include "http/gatekeeper.h"
#include "unit/http/fake_exchange.h"

namespace safelight::http {

/// The path of a route's pattern with something in place of its parameters.
inline std::string sample_path(std::string pattern) {
  for (size_t begin = pattern.find('{'); begin != std::string::npos; begin = pattern.find('{'))
    pattern.replace(begin, pattern.find('}') - begin + 1, "x");
  return pattern;
}

/// What the gatekeeper answers a program that knocks at the route; `change` adds to the request.
template <class Change>
Admission knock(Gatekeeper& gatekeeper, const Route& route, Change change) {
  FakeExchange exchange(route.method, sample_path(route.pattern));
  change(exchange);
  return run(gatekeeper.admit(exchange, route));
}
inline Admission knock(Gatekeeper& gatekeeper, const Route& route) {
  return knock(gatekeeper, route, [](FakeExchange&) {});
}

/// Knocks at each route without credentials: only those in `open`, "GET /healthz", may let in, and
/// all of those must. For a gatekeeper that needs credentials.
inline void expect_only_open(Gatekeeper& gatekeeper, const Router& router,
                             const std::set<std::string>& open) {
  std::set<std::string> let_in;
  for (const Route& route : router.routes()) {
    const std::string name = route.method + " " + route.pattern;
    const Admission admission = knock(gatekeeper, route);
    if (!admission.refusal)
      let_in.insert(name);
    else
      EXPECT_EQ(admission.refusal->status, 401) << name;
  }
  EXPECT_EQ(let_in, open);
}

}  // namespace safelight::http
