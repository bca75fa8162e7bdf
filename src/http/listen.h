#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace safelight::http {

using Acceptors = std::vector<boost::asio::ip::tcp::acceptor>;

/// Listens on all addresses of the name. Port 0: any free one, the same on all. Errors: kIo naming
/// address, cause and remedy.
Result<Acceptors> listen_on(boost::asio::io_context& context, const std::string& address,
                            uint16_t port);

/// The listening sockets that systemd passed to this process (LISTEN_PID, LISTEN_FDS); none when it
/// passed none. Takes the variables out of the environment, so that children do not believe them.
/// Errors: kIo for a descriptor that is no listening TCP socket.
Result<Acceptors> passed_sockets(boost::asio::io_context& context);

/// "http://127.0.0.1:7860".
std::string url_of(const boost::asio::ip::tcp::endpoint& endpoint, bool tls);

}  // namespace safelight::http
