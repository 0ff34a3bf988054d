# Run at build time: writes build_info.cpp, and touches it only when something in it has changed.
if(NOT REVISION)
    set(REVISION unknown)  # a tarball, or git does not answer
    find_program(GIT git)
    if(GIT AND EXISTS "${SOURCE_DIR}/.git")
        execute_process(COMMAND ${GIT} describe --always --dirty --abbrev=12 --exclude=*
            WORKING_DIRECTORY ${SOURCE_DIR} RESULT_VARIABLE failed OUTPUT_VARIABLE answer ERROR_QUIET
            OUTPUT_STRIP_TRAILING_WHITESPACE)
        if(NOT failed)
            set(REVISION ${answer})
        endif()
    endif()
endif()
configure_file(${CMAKE_CURRENT_LIST_DIR}/build_info.cpp.in ${OUTPUT} @ONLY)
