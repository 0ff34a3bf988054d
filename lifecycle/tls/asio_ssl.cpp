// Asio's TLS, compiled once for all files that include it: see lifecycle/asio.cpp for the rest of Asio.
#include <boost/asio/ssl/impl/src.hpp>
