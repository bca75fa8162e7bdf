#include "http/auth/login_page.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/secrets.h"

namespace safelight::http {
namespace {

constexpr std::string_view kStyle = R"(
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; }
form { width: min(20rem, 90vw); display: grid; gap: 1rem; }
h1 { font-size: 1.5rem; font-weight: 600; margin: 0; }
label { display: grid; gap: .25rem; }
input, button { font: inherit; padding: .5rem .75rem; border-radius: .375rem;
  border: 1px solid #8888; }
button { background: #a3341f; border-color: #a3341f; color: #fff; cursor: pointer; }
p { margin: 0; }
.hint { font-size: .875rem; opacity: .75; }
.fault { color: #c22; }
@media (prefers-color-scheme: dark) { .fault { color: #f88; } }
)";

constexpr std::string_view kPage = R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in - Safelight</title>
<style nonce="{nonce}">{style}</style>
</head>
<body>
<form method="post" action="login">
<h1>Safelight</h1>
{fault}<input type="hidden" name="next" value="{next}">
<label>Name <input name="username" autocomplete="username" autocapitalize="none" autofocus></label>
<label>Password <input name="password" type="password" autocomplete="current-password"
 required></label>
<button>Sign in</button>
<p class="hint">With an API key: leave the name empty, and give the key as the password.</p>
</form>
</body>
</html>
)";

std::string escaped(std::string_view text) {
  std::string html;
  for (const char c : text) {
    switch (c) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      case '"':
        html += "&quot;";
        break;
      case '\'':
        html += "&#39;";
        break;
      default:
        html += c;
    }
  }
  return html;
}

}  // namespace

std::string safe_next(std::string_view next) {
  const bool odd = std::any_of(next.begin(), next.end(), [](char c) {
    return static_cast<unsigned char>(c) <= 0x20 || c == 0x7F || c == '\\';
  });
  // "//host" would be another server's.
  if (odd || !next.starts_with('/') || next.starts_with("//") || next.size() > 2048) return "./";
  return std::string(next);
}

Reply login_page(std::string_view next, std::string_view message, int status) {
  const std::string nonce = random_token();
  const std::string fault =
      message.empty() ? ""
                      : fmt::format("<p class=\"fault\" role=\"alert\">{}</p>\n", escaped(message));
  Reply reply{.status = status, .content_type = "text/html; charset=utf-8"};
  reply.body = fmt::format(kPage, fmt::arg("nonce", nonce), fmt::arg("style", kStyle),
                           fmt::arg("fault", fault), fmt::arg("next", escaped(safe_next(next))));
  // No "no-referrer": with it browsers send "Origin: null" along with the form.
  reply.headers = {{"Content-Security-Policy",
                    fmt::format("default-src 'none'; style-src 'nonce-{}'; form-action 'self'; "
                                "frame-ancestors 'none'; base-uri 'none'",
                                nonce)},
                   {"Cache-Control", "no-store"},
                   {"Referrer-Policy", "same-origin"},
                   {"X-Content-Type-Options", "nosniff"}};
  return reply;
}

}  // namespace safelight::http
