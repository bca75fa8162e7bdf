# The program itself: its version, where it is built, what is installed with it.
include(GNUInstallDirs)

# Written anew when git says something else, so that a commit costs a compilation of one small file.
set(version_header ${CMAKE_BINARY_DIR}/generated/app/app_version.h)
add_custom_target(safelight_version BYPRODUCTS ${version_header}
  COMMAND ${CMAKE_COMMAND} -DSOURCE=${CMAKE_SOURCE_DIR} -DVERSION=${PROJECT_VERSION} -DOUTPUT=${version_header}
          -P ${CMAKE_SOURCE_DIR}/cmake/Version.cmake)
add_dependencies(sl_app safelight_version)
target_include_directories(sl_app PRIVATE ${CMAKE_BINARY_DIR}/generated)

add_executable(safelight ${CMAKE_SOURCE_DIR}/src/app/main.cc)
target_link_libraries(safelight PRIVATE sl_app safelight_flags)
set_target_properties(safelight PROPERTIES
  RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin
  INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}/safelight")

# The image classifier of the guard, whose weights a package of npm brings.
set(guard_models ${CMAKE_BINARY_DIR}/share/safelight/guard)
add_custom_command(
  OUTPUT ${guard_models}/nsfw-mobilenet-v2.safetensors
  COMMAND ${CMAKE_SOURCE_DIR}/tools/guard/make_image_classifier.sh ${guard_models}/nsfw-mobilenet-v2.safetensors
  DEPENDS ${CMAKE_SOURCE_DIR}/tools/guard/image-classifier.lock ${CMAKE_SOURCE_DIR}/tools/guard/make_image_classifier.py
  COMMENT "Making the image classifier's weights")
add_custom_target(guard_models ALL DEPENDS ${guard_models}/nsfw-mobilenet-v2.safetensors)

install(TARGETS safelight RUNTIME)
install(DIRECTORY ${guard_models} DESTINATION ${CMAKE_INSTALL_DATADIR}/safelight)
install(FILES ${SAFELIGHT_DEPS_DIR}/onednn/lib/libdnnl.so.3 DESTINATION ${CMAKE_INSTALL_LIBDIR}/safelight)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/models DESTINATION ${CMAKE_INSTALL_DATADIR}/safelight)
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE ${CMAKE_SOURCE_DIR}/NOTICE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# Each shell's completion where the shell looks for it.
function(safelight_completion shell folder name)
  set(script ${CMAKE_BINARY_DIR}/completions/${name})
  add_custom_command(TARGET safelight POST_BUILD
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/completions
    COMMAND $<TARGET_FILE:safelight> completion ${shell} > ${script})
  install(FILES ${script} DESTINATION ${CMAKE_INSTALL_DATADIR}/${folder})
endfunction()
safelight_completion(bash bash-completion/completions safelight)
safelight_completion(zsh zsh/site-functions _safelight)
safelight_completion(fish fish/vendor_completions.d safelight.fish)
