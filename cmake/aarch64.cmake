# Cross build for arm64 with Debian's compilers (g++-aarch64-linux-gnu): cmake --preset aarch64.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

# Programs are this machine's, libraries the target's. The packages that we use consist of headers (fmt, nlohmann_json,
# CLI11), so this machine's serve: /usr/include is in the cross compiler's own search path, after the target's folders.
set(CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE BOTH)
file(GLOB package_folders /usr/lib/*-linux-gnu/cmake /usr/share/cmake /usr/lib/cmake /usr/share/pkgconfig)
list(APPEND CMAKE_PREFIX_PATH /usr ${package_folders})
