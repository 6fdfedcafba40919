# With NATSESSION_PORTABLE the programs run on other distributions than the one they are built on, of which the C library
# is not older than what they ask of it (tests/packaging/portable.py holds that for RHEL 9):
# - inside: the C++ runtime, and the libraries whose sonames differ or that RHEL 9 has too old (SQLite 3.34);
# - from the machine: what keeps its soname, above all OpenSSL, which knows where that machine keeps its certificates
#   and what its policy of ciphers is. libgcc_s as well: its own unwinder would ask for GLIBC_2.35.
if(NOT NATSESSION_PORTABLE)
  return()
endif()
add_link_options(-static-libstdc++ -Wl,--undefined=arc4random)
add_library(natsession_arc4random STATIC cmake/arc4random.cc)
target_link_libraries(natsession_options INTERFACE natsession_arc4random)

# Header-only, what can be.
add_library(fmt::fmt INTERFACE IMPORTED)
target_compile_definitions(fmt::fmt INTERFACE FMT_HEADER_ONLY=1)
set_target_properties(PkgConfig::TOMLPLUSPLUS PROPERTIES INTERFACE_LINK_LIBRARIES "" INTERFACE_COMPILE_OPTIONS "")
target_compile_definitions(PkgConfig::TOMLPLUSPLUS INTERFACE TOML_HEADER_ONLY=1)

# natsession_link_archive(TARGET NAME [LIBRARIES...]): libNAME.a instead of the shared library, and what it needs.
function(natsession_link_archive target name)
  find_library(NATSESSION_ARCHIVE_${name} lib${name}.a REQUIRED)
  set_target_properties(${target} PROPERTIES INTERFACE_LINK_LIBRARIES "${NATSESSION_ARCHIVE_${name}};${ARGN}")
endfunction()
natsession_link_archive(PkgConfig::SQLITE3 sqlite3 m ${CMAKE_DL_LIBS} Threads::Threads)
natsession_link_archive(PkgConfig::XXHASH xxhash)
natsession_link_archive(CSV::CSV csv)
# RHEL 9 has libcrypt.so.2, Debian .so.1.
natsession_link_archive(PkgConfig::CRYPT crypt)

# Of cctz Debian has no archive, but Abseil's has a copy of it, in a namespace of its own.
natsession_link_archive(CCTZ::CCTZ absl_time_zone)
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/cctz/time_zone.h @ONLY CONTENT [[
#pragma once
#include <absl/time/internal/cctz/include/cctz/time_zone.h>
namespace cctz = absl::time_internal::cctz;
]])
set_target_properties(CCTZ::CCTZ PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${PROJECT_BINARY_DIR})
