# Warnings are errors, in every target of ours; system headers are not ours.
add_library(cpulevel_warnings INTERFACE)
target_compile_options(cpulevel_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
  -Wold-style-cast -Wcast-align -Woverloaded-virtual -Wimplicit-fallthrough -Wundef
  -fno-common -fstack-protector-strong)
# When it optimises, GCC 12 warns of std::string's operator+ (GCC bug 105651, fixed in 13) and of an empty
# std::optional<std::string> (105562). The debug build and clang-tidy look for what these would find.
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(cpulevel_warnings INTERFACE -Wno-restrict -Wno-maybe-uninitialized -Wno-stringop-overflow)
endif()
if(CPULEVEL_SANITIZE)
  add_compile_options(-fsanitize=${CPULEVEL_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${CPULEVEL_SANITIZE})
endif()
# For rooms that sort stably: libstdc++'s own std::stable_sort calls a function that it marks as deprecated, and Clang says so.
add_library(cpulevel_sorts_stably INTERFACE)
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  target_compile_options(cpulevel_sorts_stably INTERFACE -Wno-deprecated-declarations)
endif()
