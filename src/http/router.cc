#include <algorithm>
#include <stdexcept>

#include "http/exchange.h"

namespace safelight::http {
namespace {

bool is_parameter(std::string_view segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}
bool is_rest(std::string_view segment) {
  return is_parameter(segment) && segment[segment.size() - 2] == '*';
}
std::string_view parameter_name(std::string_view segment) {
  return segment.substr(1, segment.size() - (is_rest(segment) ? 3 : 2));
}

/// "/a/b" is "a", "b"; "/" is nothing.
std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> segments;
  if (path.starts_with('/')) path.remove_prefix(1);
  if (path.ends_with('/')) path.remove_suffix(1);
  if (path.empty()) return segments;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    segments.push_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return segments;
}

}  // namespace

/// One look-up: walks the tree from the most exact to the loosest pattern.
class Router::Search {
 public:
  Search(const Router& router, std::string_view method, std::string_view path, bool upgrade)
      : router_(router),
        method_(method == "HEAD" ? "GET" : method),
        path_(path),
        upgrade_(upgrade),
        segments_(split(path)) {}

  Match run() {
    Match match;
    if (path_.starts_with('/')) walk(0, 0);
    match.path_known = !methods_.empty();
    match.route = found_;
    if (found_ != nullptr) match.params = parameters();
    std::sort(methods_.begin(), methods_.end());
    for (std::string_view name : methods_) {
      match.allow.append(match.allow.empty() ? "" : ", ").append(name);
      if (name == "GET") match.allow += ", HEAD";
    }
    return match;
  }

 private:
  void walk(size_t index, size_t depth) {
    const Node& node = router_.nodes_[index];
    if (depth == segments_.size()) {
      end_at(node);
    } else if (!segments_[depth].empty()) {
      const auto literal = node.literals.find(segments_[depth]);
      if (literal != node.literals.end()) walk(literal->second, depth + 1);
      if (node.parameter) walk(*node.parameter, depth + 1);
    }
    if (node.rest) end_at(router_.nodes_[*node.rest]);
  }

  void end_at(const Node& node) {
    const Route* get = nullptr;
    const Route* socket = nullptr;
    for (size_t index : node.routes) {
      const Route& route = router_.routes_[index];
      if (std::find(methods_.begin(), methods_.end(), route.method) == methods_.end()) {
        methods_.push_back(route.method);
      }
      if (route.method == method_) (route.socket ? socket : get) = &route;
    }
    if (found_ != nullptr) return;
    found_ = socket != nullptr && (upgrade_ || get == nullptr) ? socket : get;
  }

  std::vector<std::pair<std::string, std::string>> parameters() const {
    std::vector<std::pair<std::string, std::string>> params;
    const std::vector<std::string_view> pattern = split(found_->pattern);
    for (size_t i = 0; i < pattern.size(); ++i) {
      if (!is_parameter(pattern[i])) continue;
      std::string value;
      if (is_rest(pattern[i])) {
        if (i < segments_.size()) {
          value = path_.substr(static_cast<size_t>(segments_[i].data() - path_.data()));
        }
      } else {
        value = segments_[i];
      }
      params.emplace_back(parameter_name(pattern[i]), std::move(value));
    }
    return params;
  }

  const Router& router_;
  std::string_view method_, path_;
  bool upgrade_;
  std::vector<std::string_view> segments_;
  std::vector<std::string_view> methods_;  ///< of all routes that have the path
  const Route* found_ = nullptr;
};

Router::Router() : nodes_(1) {}

size_t Router::child(size_t node, std::string_view segment) {
  const auto made = [this] {
    nodes_.emplace_back();
    return nodes_.size() - 1;
  };
  if (is_parameter(segment)) {
    const auto slot = is_rest(segment) ? &Node::rest : &Node::parameter;
    if (!(nodes_[node].*slot)) {
      const size_t index = made();
      nodes_[node].*slot = index;
    }
    return *(nodes_[node].*slot);
  }
  const auto literal = nodes_[node].literals.find(segment);
  if (literal != nodes_[node].literals.end()) return literal->second;
  const size_t index = made();
  nodes_[node].literals.emplace(segment, index);
  return index;
}

void Router::add(Route route) {
  const std::vector<std::string_view> segments = split(route.pattern);
  size_t node = 0;
  for (size_t i = 0; i < segments.size(); ++i) {
    const bool misplaced = is_rest(segments[i]) && i + 1 != segments.size();
    if (!route.pattern.starts_with('/') || segments[i].empty() || misplaced) {
      throw std::logic_error("route pattern '" + route.pattern +
                             "': it begins with /, has no empty segment, and {name*} is its last");
    }
    node = child(node, segments[i]);
  }
  for (size_t index : nodes_[node].routes) {
    const Route& other = routes_[index];
    if (other.method == route.method && !other.socket == !route.socket) {
      throw std::logic_error(route.method + " " + route.pattern + " is routed already, as " +
                             other.pattern);
    }
  }
  nodes_[node].routes.push_back(routes_.size());
  routes_.push_back(std::move(route));
}

void Router::get(std::string pattern, RouteOptions options, Handler handler) {
  add({"GET", std::move(pattern), options, std::move(handler), {}});
}
void Router::post(std::string pattern, RouteOptions options, Handler handler) {
  add({"POST", std::move(pattern), options, std::move(handler), {}});
}
void Router::put(std::string pattern, RouteOptions options, Handler handler) {
  add({"PUT", std::move(pattern), options, std::move(handler), {}});
}
void Router::remove(std::string pattern, RouteOptions options, Handler handler) {
  add({"DELETE", std::move(pattern), options, std::move(handler), {}});
}
void Router::socket(std::string pattern, RouteOptions options, SocketHandler handler) {
  add({"GET", std::move(pattern), options, {}, std::move(handler)});
}

Router::Match Router::find(std::string_view method, std::string_view path, bool upgrade) const {
  return Search(*this, method, path, upgrade).run();
}

}  // namespace safelight::http
