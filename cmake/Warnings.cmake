# What every target of this project is compiled with. Third-party targets are not touched.
add_library(natsession_options INTERFACE)
target_compile_options(natsession_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
  -Wold-style-cast -Woverloaded-virtual -Wcast-align -Wformat=2)
# g++ 12 sees overlaps in std::string's operator+ that are not there (GCC bug 105651).
target_compile_options(natsession_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
# clang 14 gives a chain of consteval calls the wrong value (seen: the rows of a report); constexpr ones are right.
target_compile_definitions(natsession_options INTERFACE $<$<CXX_COMPILER_ID:Clang>:consteval=constexpr>)
if(NATSESSION_WERROR)
  target_compile_options(natsession_options INTERFACE -Werror)
endif()
target_compile_definitions(natsession_options INTERFACE NATSESSION_SANITIZE="${NATSESSION_SANITIZE}")
if(NATSESSION_SANITIZE)
  target_compile_options(natsession_options INTERFACE -fno-omit-frame-pointer)
  add_compile_options(-fsanitize=${NATSESSION_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${NATSESSION_SANITIZE})
endif()
if(CMAKE_UNITY_BUILD)
  # Of files that are compiled as one: a name of one is seen in the others, and a type of none is in a main file.
  target_compile_options(natsession_options INTERFACE -Wno-shadow $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
endif()
target_compile_options(natsession_options INTERFACE -fstack-protector-strong)
target_include_directories(natsession_options INTERFACE ${PROJECT_SOURCE_DIR}/lib)

# natsession_library(NAME SOURCES... DEPENDS... [OWN_FLAGS]): one folder of lib/ as one static library. OWN_FLAGS: it is
# optimised differently, hence needs a precompiled header of its own.
function(natsession_library name)
  cmake_parse_arguments(ARG "OWN_FLAGS" "" "SOURCES;DEPENDS;PRIVATE_DEPENDS" ${ARGN})
  add_library(natsession_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(natsession_${name} PUBLIC natsession_options ${ARG_DEPENDS} PRIVATE ${ARG_PRIVATE_DEPENDS})
  if(name STREQUAL base OR ARG_OWN_FLAGS)
    natsession_precompile(natsession_${name})
  else()
    natsession_precompile(natsession_${name} natsession_base)
  endif()
endfunction()
