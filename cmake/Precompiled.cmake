# Precompiled headers: what two of three files include, by themselves or through a project header, as ninja's log of
# dependencies counts it. Project headers are not in it: each change would compile everything. A file includes what it
# uses all the same; the preset `dev` has no precompiled headers, and holds that.
set(natsession_common_headers
  <algorithm> <array> <cerrno> <chrono> <cstddef> <cstdint> <cstring> <functional> <memory> <optional> <span> <string>
  <string_view> <utility> <variant> <vector>)

# So that ccache can tell a precompiled header's users apart (with its sloppiness pch_defines,time_macros).
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND NOT CMAKE_DISABLE_PRECOMPILE_HEADERS)
  add_compile_options(-fpch-preprocess)
endif()

# natsession_precompile(TARGET [OWNER | MORE...]): the precompiled header of OWNER, which must be compiled with the same
# flags and have no definition that TARGET has not (g++ would refuse the header); or one of its own, with MORE <headers>.
function(natsession_precompile target)
  if(ARGC EQUAL 2 AND TARGET "${ARGV1}")
    target_precompile_headers(${target} REUSE_FROM ${ARGV1})
  else()
    target_precompile_headers(${target} PRIVATE ${natsession_common_headers} ${ARGN})
  endif()
endfunction()
