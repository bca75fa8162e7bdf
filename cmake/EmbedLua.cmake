# safelight_embed_lua(TARGET FOLDER): the *.lua of FOLDER inside the program, as jobs/redis_scripts.h declares them.
function(safelight_embed_lua target folder)
  file(GLOB scripts CONFIGURE_DEPENDS ${folder}/*.lua)
  set(rows "")
  foreach(script IN LISTS scripts)
    get_filename_component(name ${script} NAME_WE)
    file(READ ${script} text)
    string(APPEND rows "    {\"${name}\", R\"lua(${text})lua\"},\n")
  endforeach()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${scripts})
  file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/lua_files.cc @ONLY CONTENT
"#include \"jobs/redis_scripts.h\"

namespace safelight::jobs {

std::span<const LuaFile> lua_files() {
  static constexpr LuaFile kFiles[] = {
@rows@  };
  return kFiles;
}

}  // namespace safelight::jobs
")
  target_sources(${target} PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/lua_files.cc)
endfunction()
