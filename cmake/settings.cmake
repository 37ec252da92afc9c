# SPDX-License-Identifier: Apache-2.0
# Compiler settings of every target: warnings are errors, sanitizers by preset.
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  # sloppiness: precompiled headers carry time stamps that do not matter to the result.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime
      ${CCACHE_PROGRAM})
endif()

set(BERTH_SANITIZE "" CACHE STRING "address, thread or empty")
add_library(berth_settings INTERFACE)
target_compile_options(berth_settings INTERFACE -Wall -Wextra -Werror -fno-strict-aliasing)
# GCC 12 reports false positives of these inside libstdc++ at -O2.
target_compile_options(berth_settings INTERFACE -Wno-restrict -Wno-stringop-overflow
                                                -Wno-maybe-uninitialized -Wno-array-bounds)
if(BERTH_SANITIZE)
  # Line numbers are all that a report shows; full debugging data takes a fifth of the compile time.
  add_compile_options(-fsanitize=${BERTH_SANITIZE} -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=${BERTH_SANITIZE})
endif()
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
