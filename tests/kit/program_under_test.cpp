// Compiled into each program of tests by add_service_tests, which says what SERVICE_BINARY is.
#include "tests/integration/service.hpp"

std::string integration::program_under_test() { return SERVICE_BINARY; }
