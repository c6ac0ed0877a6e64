# The executable, man pages (scdoc) and shell completions (made by the program itself).
include(GNUInstallDirs)
install(TARGETS cpulevel RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

find_program(SCDOC scdoc)
if(SCDOC)
  file(GLOB pages CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/man/*.scd)
  set(built "")
  foreach(page ${pages})
    get_filename_component(name ${page} NAME_WLE)  # cpulevel-run.1
    set(output ${PROJECT_BINARY_DIR}/man/${name})
    add_custom_command(OUTPUT ${output}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/man
      COMMAND sh -c "'${SCDOC}' < '${page}' > '${output}'" DEPENDS ${page} VERBATIM)
    list(APPEND built ${output})
  endforeach()
  add_custom_target(man ALL DEPENDS ${built})
  install(FILES ${built} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()

# The program runs at build only where it is for this machine.
if(NOT CMAKE_CROSSCOMPILING)
  set(completions "")
  foreach(shell bash zsh fish)
    set(output ${PROJECT_BINARY_DIR}/completions/${shell})
    add_custom_command(OUTPUT ${output}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/completions
      COMMAND sh -c "'$<TARGET_FILE:cpulevel>' completion ${shell} > '${output}'" DEPENDS cpulevel VERBATIM)
    list(APPEND completions ${output})
  endforeach()
  add_custom_target(completions ALL DEPENDS ${completions})
  install(FILES ${PROJECT_BINARY_DIR}/completions/bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME cpulevel)
  install(FILES ${PROJECT_BINARY_DIR}/completions/zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions RENAME _cpulevel)
  install(FILES ${PROJECT_BINARY_DIR}/completions/fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d RENAME cpulevel.fish)
endif()
install(FILES LICENSE README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
