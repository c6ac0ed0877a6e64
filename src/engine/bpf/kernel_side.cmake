# The BPF engine: its kernel side is compiled to BPF by clang and goes into the executable as it is; libbpf fits it to the running
# kernel. No header, BTF or tool of a kernel is needed to build. Without the engine, its commands say that it is not there.
find_program(CPULEVEL_BPF_CLANG NAMES clang-19 clang-18 clang-17 clang-16 clang-15 clang-14 clang)
if(CMAKE_CROSSCOMPILING)
  # The target's static libraries: where Debian's multiarch packages put them (libbpf-dev:arm64, libelf-dev:arm64,
  # zlib1g-dev:arm64), or unpacked by `dpkg -x` below a folder of one's own.
  set(CPULEVEL_BPF_SYSROOT "" CACHE PATH "Folder with usr/lib/ARCH-linux-gnu/libbpf.a, libelf.a and libz.a for a cross build")
  set(bpf_libraries PATHS ${CPULEVEL_BPF_SYSROOT}/usr/lib/${CMAKE_SYSTEM_PROCESSOR}-linux-gnu NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
endif()
find_library(LIBBPF NAMES libbpf.a ${bpf_libraries})
find_library(LIBELF NAMES libelf.a ${bpf_libraries})
find_library(LIBZ NAMES libz.a ${bpf_libraries})
set(bpf_default ON)
if(CMAKE_CROSSCOMPILING AND NOT (LIBBPF AND LIBELF AND LIBZ))
  set(bpf_default OFF)
  message(STATUS "BPF engine: not built, as libbpf, libelf and zlib for ${CMAKE_SYSTEM_PROCESSOR} are not installed")
endif()
option(CPULEVEL_BPF "Build the BPF engine" ${bpf_default})

set(bpf_folder ${CMAKE_CURRENT_LIST_DIR})
# The only files that know.
set(bpf_aware ${bpf_folder}/pins.cpp ${bpf_folder}/engine_maps.cpp ${bpf_folder}/kernel_side.cpp)
if(NOT CPULEVEL_BPF)
  set_source_files_properties(${bpf_aware} PROPERTIES COMPILE_DEFINITIONS "CPULEVEL_BPF=0")
  return()
endif()
set_source_files_properties(${bpf_aware} PROPERTIES COMPILE_DEFINITIONS "CPULEVEL_BPF=1")
if(NOT (CPULEVEL_BPF_CLANG AND LIBBPF AND LIBELF AND LIBZ))
  message(FATAL_ERROR "The BPF engine needs clang, libbpf.a, libelf.a and libz.a (Debian: clang-19 libbpf-dev libelf-dev zlib1g-dev). "
    "Install them, or build without it: -DCPULEVEL_BPF=OFF")
endif()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  set(bpf_target arm64)
else()
  set(bpf_target x86)
endif()
set(bpf_object ${CMAKE_CURRENT_BINARY_DIR}/cpulevel.bpf.o)
find_path(LIBBPF_INCLUDE bpf/bpf_helpers.h REQUIRED NO_CMAKE_FIND_ROOT_PATH)
add_custom_command(OUTPUT ${bpf_object}
  COMMAND ${CPULEVEL_BPF_CLANG} -target bpf -mcpu=v3 -D__TARGET_ARCH_${bpf_target} -O2 -g -Wall -Wextra -Werror
    -I${LIBBPF_INCLUDE} -ffile-prefix-map=${PROJECT_SOURCE_DIR}=. -c ${bpf_folder}/program.bpf.c -o ${bpf_object}
  DEPENDS ${bpf_folder}/program.bpf.c ${bpf_folder}/maps.bpf.h ${bpf_folder}/calls.bpf.h ${bpf_folder}/kernel_types.h ${bpf_folder}/layout.h VERBATIM)
add_custom_target(cpulevel_bpf_object DEPENDS ${bpf_object})
add_dependencies(cpulevel_engine cpulevel_bpf_object)
set_source_files_properties(${bpf_folder}/kernel_side.cpp PROPERTIES OBJECT_DEPENDS ${bpf_object}
  COMPILE_DEFINITIONS "CPULEVEL_BPF=1;CPULEVEL_BPF_OBJECT=\"${bpf_object}\"")
target_link_libraries(cpulevel_engine PUBLIC ${LIBBPF} ${LIBELF} ${LIBZ})
