# What `cmake --install` puts where, after GNUInstallDirs. Component `service`: the program, its settings and units.
# Component `development`: the folders that do not know this program's settings, as libraries for
# find_package(curfew). docs/adr/0043-installed-libraries.md.
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
foreach(folder lifecycle server server/http1 server/net tracker tracker/spool)
    file(GLOB files CONFIGURE_DEPENDS ${folder}/*.hpp)  # not of the other folders in it, which are modules
    install(FILES ${files} DESTINATION ${headers}/${folder} COMPONENT development)
endforeach()
# In a folder of their own, since their names are everybody's.
install(TARGETS lifecycle server tracker EXPORT curfew
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/curfew COMPONENT development)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/curfew)
install(EXPORT curfew NAMESPACE curfew:: FILE curfew-targets.cmake DESTINATION ${package} COMPONENT development)
file(CONFIGURE OUTPUT curfew-config.cmake CONTENT [==[
# find_package(curfew): the targets curfew::lifecycle, curfew::server, curfew::tracker.
include(CMakeFindDependencyMacro)
if(NOT DEFINED Boost_USE_STATIC_LIBS)
    set(Boost_USE_STATIC_LIBS ON)
endif()
find_dependency(Threads)
find_dependency(Boost 1.81 CONFIG COMPONENTS json url)
find_dependency(fmt)
find_dependency(spdlog)
include(${CMAKE_CURRENT_LIST_DIR}/curfew-targets.cmake)
]==] @ONLY)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/curfew-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/curfew-config.cmake ${PROJECT_BINARY_DIR}/curfew-config-version.cmake
    DESTINATION ${package} COMPONENT development)
