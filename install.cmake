# What `cmake --install` puts where, after GNUInstallDirs. Component `service`: the program, its settings and units.
# Component `development`, which the target of that name builds: everything that a service is made on, for
# find_package(curfew): libraries, the modules that are turned on, the test kit, the functions of cmd/service/program.cmake.
# docs/library.md, docs/adr/0078-a-copy-owns-its-service.md.  # [skeleton/]
set(libraries lifecycle spdlog_whole server tracker configs skeleton_info service_body)
foreach(module asio_ssl http_connection pool group)  # what modules are made of, and what whoever wants it links
    if(TARGET ${module})
        list(APPEND libraries ${module})
    endif()
endforeach()
set(modules)
foreach(module heap http2 http_client http_sink kafka_sink last_run nats_sink page pprof systemd telemetry tls trace upgrade websocket)
    string(TOUPPER ${module} option)
    string(REGEX REPLACE "_SINK$" "" short ${option})  # as the options of some are
    if(TARGET ${module} AND (${option} OR ${short}))
        list(APPEND modules ${module})
    endif()
endforeach()
foreach(part test_support test_kit test_clock)
    if(TARGET ${part})
        list(APPEND libraries ${part})
    endif()
endforeach()
list(APPEND libraries ${modules})
if(NOT PROJECT_IS_TOP_LEVEL)
    foreach(library IN LISTS libraries)
        add_library(curfew::${library} ALIAS ${library})
    endforeach()
    return()
endif()
add_custom_target(development ALL DEPENDS ${libraries})
set_target_properties(${libraries} PROPERTIES EXCLUDE_FROM_ALL OFF)
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS service RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT service)
# At install time, since --prefix may be another one: settings that somebody has edited stay, units name their paths.
install(CODE "set(source \"${PROJECT_SOURCE_DIR}\")
set(bin \"${CMAKE_INSTALL_BINDIR}\")
set(etc \"${CMAKE_INSTALL_SYSCONFDIR}/service\")" COMPONENT service)
install(CODE "set(has_units \"${SYSTEMD}\")" COMPONENT service)  # [module systemd/]
install(CODE [==[
cmake_path(ABSOLUTE_PATH bin BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}")
if(CMAKE_INSTALL_PREFIX STREQUAL /usr)  # as GNUInstallDirs has it
    cmake_path(ABSOLUTE_PATH etc BASE_DIRECTORY /)
endif()
cmake_path(ABSOLUTE_PATH etc BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}")
if(NOT EXISTS "$ENV{DESTDIR}${etc}/service.toml")
    file(INSTALL "${source}/configs/service.toml" DESTINATION "${etc}")
endif()
# [module systemd]
if(has_units)
    set(units "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/lib/systemd/system")
    foreach(unit service.service service.socket service-debug.socket)
        file(READ "${source}/deploy/systemd/${unit}" text)
        string(REPLACE /usr/local/bin/ "${bin}/" text "${text}")
        string(REPLACE /etc/service/ "${etc}/" text "${text}")
        message(STATUS "Installing: ${units}/${unit}")
        file(WRITE "${units}/${unit}" "${text}")
    endforeach()
endif()
# [/module systemd]
]==] COMPONENT service)

# Asio, Beast, spdlog and fmt are compiled in them: whoever links them sees their headers the same way.
set(headers ${CMAKE_INSTALL_INCLUDEDIR}/curfew)
target_include_directories(lifecycle INTERFACE $<INSTALL_INTERFACE:${headers}>)
target_compile_definitions(lifecycle INTERFACE "$<INSTALL_INTERFACE:${compiled_once}>")
target_compile_features(lifecycle INTERFACE $<INSTALL_INTERFACE:cxx_std_20>)
set(folders lifecycle server server/admin server/http1 server/loop server/net tracker tracker/spool configs cmd/service cmd/service/modules)
foreach(library IN LISTS libraries)  # and where those of the modules are
    get_target_property(folder ${library} SOURCE_DIR)
    cmake_path(RELATIVE_PATH folder BASE_DIRECTORY ${PROJECT_SOURCE_DIR})
    list(APPEND folders ${folder})
endforeach()
list(FILTER folders EXCLUDE REGEX "^tests")
list(REMOVE_DUPLICATES folders)
foreach(folder IN LISTS folders)
    file(GLOB files CONFIGURE_DEPENDS ${folder}/*.hpp)  # not of the other folders in it, which are modules
    list(FILTER files EXCLUDE REGEX "/cmd/service/routes\\.hpp$")  # of this program alone
    install(FILES ${files} DESTINATION ${headers}/${folder} COMPONENT development)
endforeach()
if(TARGET test_kit)
    file(GLOB files CONFIGURE_DEPENDS tests/support/*.hpp)
    install(FILES ${files} DESTINATION ${headers}/tests/support COMPONENT development)
    foreach(file integration/service integration/torture integration/event_lines lifecycle/test_clock tracker/fakes tracker/spool_fakes)
        cmake_path(GET file PARENT_PATH folder)
        install(FILES tests/${file}.hpp DESTINATION ${headers}/tests/${folder} COMPONENT development)
    endforeach()
endif()
# In a folder of their own, since their names are everybody's.
install(TARGETS ${libraries} EXPORT curfew
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/curfew COMPONENT development)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/curfew)
install(EXPORT curfew NAMESPACE curfew:: FILE curfew-targets.cmake DESTINATION ${package} COMPONENT development)
# What a program is put together from, beside its own main and routes.
set(parts cmd/service/program.cmake cmd/service/entry.cpp cmd/service/modules.cpp cmd/service/build_info.cmake
    cmd/service/build_info.cpp.in cmd/service/skeleton_info.cpp.in tests/kit/program_under_test.cpp)
install(FILES ${parts} DESTINATION ${package} COMPONENT development)

# What else a service may start from: where it is deployed, alerts, lints, certificates for a development machine.
install(DIRECTORY deploy DESTINATION ${CMAKE_INSTALL_DATADIR}/curfew COMPONENT development)
foreach(script tests/lint/banned.sh scripts/dev-certificate)
    if(EXISTS ${PROJECT_SOURCE_DIR}/${script})
        install(PROGRAMS ${script} DESTINATION ${CMAKE_INSTALL_DATADIR}/curfew/scripts COMPONENT development)
    endif()
endforeach()

# Which revision these libraries are, as of their last build: a service that was made from a later one is refused.
install(FILES ${PROJECT_BINARY_DIR}/curfew-revision.cmake DESTINATION ${package} COMPONENT development)
string(REPLACE ";" " " names "${modules};pool;group")
file(CONFIGURE OUTPUT curfew-config.cmake CONTENT [==[
# find_package(curfew 0.1 COMPONENTS http2 tls test_kit): the targets curfew::lifecycle, curfew::server, curfew::tracker,
# curfew::configs, curfew::service_body, and those of the components, which are modules; the functions of program.cmake.
include(CMakeFindDependencyMacro)
include(${CMAKE_CURRENT_LIST_DIR}/curfew-revision.cmake)
set(curfew_MODULES "@names@")
set(curfew_lacks)
foreach(component IN LISTS curfew_FIND_COMPONENTS)
    set(curfew_${component}_FOUND TRUE)
endforeach()
if(NOT DEFINED Boost_USE_STATIC_LIBS)
    set(Boost_USE_STATIC_LIBS ON)
endif()
find_dependency(Threads)
find_dependency(Boost 1.81 CONFIG COMPONENTS json url)
find_dependency(fmt)
find_dependency(spdlog)
# Only of the modules that are asked for: the others' need not be there.
foreach(module tls http_client http_sink)
    if(module IN_LIST curfew_FIND_COMPONENTS)
        find_dependency(OpenSSL 3.0)
    endif()
endforeach()
include(${CMAKE_CURRENT_LIST_DIR}/curfew-targets.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/program.cmake)
foreach(component IN LISTS curfew_FIND_COMPONENTS)
    if(NOT TARGET curfew::${component})
        set(curfew_${component}_FOUND FALSE)
        list(APPEND curfew_lacks ${component})
    endif()
endforeach()
if(curfew_lacks)
    list(JOIN curfew_lacks ", " curfew_lacks)
    set(curfew_FOUND FALSE)
    set(curfew_NOT_FOUND_MESSAGE "it is built without ${curfew_lacks}; its modules are ${curfew_MODULES}")
endif()
]==] @ONLY)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/curfew-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/curfew-config.cmake ${PROJECT_BINARY_DIR}/curfew-config-version.cmake
    DESTINATION ${package} COMPONENT development)

# The same for others than CMake: the server and the tracker, for a program with a main of its own.
list(TRANSFORM compiled_once PREPEND -D OUTPUT_VARIABLE definitions)
list(JOIN definitions " " definitions)
set(AT @)  # configured once more, at install time, since --prefix may be another one
file(CONFIGURE OUTPUT curfew.pc.in CONTENT [==[
prefix=@AT@PREFIX@AT@
libdir=${prefix}/@CMAKE_INSTALL_LIBDIR@/curfew
includedir=${prefix}/@headers@

Name: curfew
Description: @PROJECT_DESCRIPTION@
Version: @PROJECT_VERSION@
Cflags: -std=c++20 -pthread -I${includedir} @definitions@ -DSPDLOG_COMPILED_LIB -DSPDLOG_FMT_EXTERNAL
Libs: -L${libdir} -lserver -ltracker -lgroup -lpool -llifecycle -lspdlog_whole -lboost_url -lboost_json -ldl -pthread
]==] @ONLY)
install(CODE "set(template \"${PROJECT_BINARY_DIR}/curfew.pc.in\")
set(place \"${CMAKE_INSTALL_LIBDIR}/pkgconfig\")" COMPONENT development)
install(CODE [==[
file(READ "${template}" text)
string(REPLACE "@PREFIX@" "${CMAKE_INSTALL_PREFIX}" text "${text}")
message(STATUS "Installing: $ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/${place}/curfew.pc")
file(WRITE "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/${place}/curfew.pc" "${text}")
]==] COMPONENT development)
