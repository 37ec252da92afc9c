# SPDX-License-Identifier: Apache-2.0
# A room is a folder for one concept and one static library. Its headers are reachable as
# "core/base/error.h" only for targets that link it: each room exports an include directory that
# holds nothing but a link to itself, so a missing link edge is a compile error.

# berth_room(<folder> [SOURCES ...] [LINKS rooms or libraries ...] [PRIVATE_LINKS ...])
# makes the target whose name is the folder with '/' turned into '_' (core/base -> core_base).
function(berth_room folder)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS;PRIVATE_LINKS" ${ARGN})
  string(REPLACE "/" "_" target ${folder})
  set(view ${CMAKE_BINARY_DIR}/rooms/${target})
  get_filename_component(parent ${folder} DIRECTORY)
  file(MAKE_DIRECTORY ${view}/${parent})
  if(NOT EXISTS ${view}/${folder})
    file(CREATE_LINK ${CMAKE_SOURCE_DIR}/${folder} ${view}/${folder} SYMBOLIC)
  endif()
  if(ARG_SOURCES)
    add_library(${target} STATIC ${ARG_SOURCES})
    target_include_directories(${target} PUBLIC ${view})
    target_link_libraries(${target} PUBLIC ${ARG_LINKS} PRIVATE berth_settings ${ARG_PRIVATE_LINKS})
  else()
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE ${view})
    target_link_libraries(${target} INTERFACE ${ARG_LINKS})
  endif()
endfunction()

# berth_test(NAME ring_test LABEL unit|kernel|slow SOURCES ... LINKS ...)
# one gtest binary, one ctest entry, 120 s (slow: 900 s). Exit 77 counts as a skip.
function(berth_test)
  cmake_parse_arguments(ARG "" "NAME;LABEL;TIMEOUT" "SOURCES;LINKS" ${ARGN})
  find_package(GTest REQUIRED)
  add_executable(${ARG_NAME} ${ARG_SOURCES})
  target_include_directories(${ARG_NAME} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${ARG_NAME} PRIVATE ${ARG_LINKS} berth_settings GTest::gtest_main)
  set_target_properties(${ARG_NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${ARG_NAME} COMMAND ${ARG_NAME})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  set_tests_properties(${ARG_NAME} PROPERTIES LABELS "${ARG_LABEL}" TIMEOUT ${ARG_TIMEOUT}
                                              SKIP_RETURN_CODE 77)
endfunction()
