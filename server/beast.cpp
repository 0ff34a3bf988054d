// Beast, compiled once for the whole program: BOOST_BEAST_SEPARATE_COMPILATION is set everywhere else.
#include <boost/beast/src.hpp>
