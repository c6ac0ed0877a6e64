# Warnings are errors, in every target of ours; system headers are not ours.
add_library(cpulevel_warnings INTERFACE)
target_compile_options(cpulevel_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
  -Wold-style-cast -Wcast-align -Woverloaded-virtual -Wimplicit-fallthrough -Wundef
  -fno-common -fstack-protector-strong)
if(CPULEVEL_SANITIZE)
  add_compile_options(-fsanitize=${CPULEVEL_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${CPULEVEL_SANITIZE})
endif()
