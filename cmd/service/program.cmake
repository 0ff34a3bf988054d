# How a program of this kind is put together: here, and where it is made on the libraries (find_package, or a folder with this
# tree in it). Installed with what it names: docs/library.md.
# entry.cpp, modules.cpp and build_info.cmake stand beside it, here and installed.

# What a compiler is told for everything, for --version and /debug/build.
function(flags_in_words variable)
    string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
    string(GENEX_STRIP "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${type}} ${ARGN}" flags)
    string(REGEX REPLACE "[; ]+" " " flags "${flags}")
    string(STRIP "${flags}" flags)
    set(${variable} "${flags}" PARENT_SCOPE)
endfunction()

# The revision is asked for at every build, but only a new one compiles (one small file) and links.
function(add_revision target output flags)
    add_custom_target(${target} BYPRODUCTS ${output} ${ARGN} COMMENT "Revision"
        COMMAND ${CMAKE_COMMAND} -D "SOURCE_DIR=${PROJECT_SOURCE_DIR}" -D "OUTPUT=${output}" -D "REVISION=${REVISION}"
            -D "VERSION=${PROJECT_VERSION}" -D "COMPILER=${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}"
            -D "FLAGS=${flags}" -D "SKELETON_OUTPUT=${ARGN}"
            -D "BINARY_DIR=${PROJECT_BINARY_DIR}" -P ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/build_info.cmake VERBATIM)
endfunction()

# Nothing is loaded at the start, and the first instructions are those of entry.cpp: docs/adr/0021-static-program.md.
function(link_whole program)
    if(SANITIZE OR (DEFINED STATIC_PROGRAM AND NOT STATIC_PROGRAM))
        return()
    endif()
    set_target_properties(${program} PROPERTIES LINKED_WHOLE ON)
    target_link_options(${program} PRIVATE -static-pie)
    if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|aarch64)$")
        target_compile_definitions(${program} PRIVATE ENTRY_POINT)
        target_link_options(${program} PRIVATE -Wl,--entry=service_entry)
    endif()
endfunction()

# add_service_program(NAME SOURCES FILE... [MODULES MODULE...]): a program with a main of its own on the libraries. MODULES are
# names of their targets. Where the tree has a skeleton.lock, libraries that are older than it says are refused.
function(add_service_program name)
    cmake_parse_arguments(PARSE_ARGV 1 its "" "" "SOURCES;MODULES")
    refuse_older_libraries()
    foreach(module ${its_MODULES})
        if(NOT TARGET curfew::${module})
            message(FATAL_ERROR "${name}: the libraries are without ${module}; name it in skeleton.lock too, commit, and run scripts/update")
        endif()
    endforeach()
    add_executable(${name} ${its_SOURCES} ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/entry.cpp ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/modules.cpp)
    set(info ${CMAKE_CURRENT_BINARY_DIR}/${name}_info/build_info.cpp)
    flags_in_words(flags)
    add_revision(${name}_revision ${info} "${flags}")
    add_library(${name}_build_info STATIC ${info})
    add_dependencies(${name}_build_info ${name}_revision)
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
    set(libraries ${its_MODULES})
    list(TRANSFORM libraries PREPEND curfew::)
    target_link_libraries(${name} PRIVATE curfew::service_body ${libraries} ${name}_build_info)
    target_link_libraries(${name}_build_info PRIVATE curfew::lifecycle)  # for where the headers are
    target_compile_options(${name} PRIVATE -fPIE)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
    foreach(module http_client http_sink nats_sink kafka_sink)  # names are resolved by what glibc loads at run time
        if(module IN_LIST its_MODULES)
            set(STATIC_PROGRAM OFF)
        endif()
    endforeach()
    link_whole(${name})
endfunction()

# add_service_tests(NAME PROGRAM FILE...): a program of GoogleTest that drives PROGRAM by the test kit, and a ctest for each test.
function(add_service_tests name program)
    find_package(GTest REQUIRED)
    include(GoogleTest)
    set(source ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/program_under_test.cpp)
    if(NOT EXISTS ${source})  # in the tree
        set(source ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../../tests/kit/program_under_test.cpp)
    endif()
    add_executable(${name} ${ARGN} ${source})
    add_dependencies(${name} ${program})
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
    target_link_libraries(${name} PRIVATE curfew::test_kit GTest::gmock_main)
    target_compile_definitions(${name} PRIVATE SERVICE_BINARY="$<TARGET_FILE:${program}>")
    target_compile_options(${name} PRIVATE -fPIE)
    gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT 120)
endfunction()

# add_protos(NAME FILE...): a library of what protoc makes of .proto files (Debian's protobuf-compiler and libprotobuf-dev).
# A file is named from the folder that says so, and so is its header: proto/greeter.proto is "proto/greeter.pb.h".
# docs/http2.md.
function(add_protos name)
    find_program(PROTOC protoc)
    find_path(PROTOBUF_INCLUDE_DIR google/protobuf/message_lite.h)
    find_library(PROTOBUF_LIBRARY protobuf)
    find_library(PROTOBUF_STATIC NAMES libprotobuf.a)
    if(NOT PROTOC OR NOT PROTOBUF_INCLUDE_DIR OR NOT PROTOBUF_LIBRARY OR NOT PROTOBUF_STATIC)
        message(FATAL_ERROR "${name} needs protoc: apt-get install protobuf-compiler libprotobuf-dev")
    endif()
    set(folder ${CMAKE_CURRENT_BINARY_DIR}/${name}_made)
    file(MAKE_DIRECTORY ${folder})
    set(sources)
    foreach(file IN LISTS ARGN)
        cmake_path(REMOVE_EXTENSION file LAST_ONLY OUTPUT_VARIABLE made)
        add_custom_command(OUTPUT ${folder}/${made}.pb.cc ${folder}/${made}.pb.h
            COMMAND ${PROTOC} --proto_path=${CMAKE_CURRENT_SOURCE_DIR} --cpp_out=${folder} ${file}
            WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${file} VERBATIM)
        list(APPEND sources ${folder}/${made}.pb.cc ${folder}/${made}.pb.h)
    endforeach()
    add_library(${name} STATIC ${sources})
    target_include_directories(${name} SYSTEM PUBLIC ${folder} ${PROTOBUF_INCLUDE_DIR})
    target_compile_options(${name} PRIVATE -fPIE -w)  # its warnings are protoc's
    target_link_libraries(${name} PUBLIC
        $<IF:$<BOOL:$<TARGET_PROPERTY:LINKED_WHOLE>>,${PROTOBUF_STATIC},${PROTOBUF_LIBRARY}>)
endfunction()

# What the libraries are: curfew_DATE, of their revision, by find_package; those in a folder of this tree fit.
function(refuse_older_libraries)
    if(NOT curfew_DATE OR NOT EXISTS ${PROJECT_SOURCE_DIR}/skeleton.lock)
        return()
    endif()
    file(STRINGS ${PROJECT_SOURCE_DIR}/skeleton.lock line REGEX "^date *= ")
    string(REGEX REPLACE "^date *= *" "" wanted "${line}")
    if(wanted AND curfew_DATE STRLESS wanted)
        message(FATAL_ERROR "curfew in ${curfew_DIR} is of ${curfew_DATE}, this service needs that of ${wanted} or later: "
            "scripts/build makes it")
    endif()
endfunction()
