# Run at build time: writes OUTPUT with SAFELIGHT_VERSION, the version and what git says of the checkout in SOURCE.
# The file changes only when the version does.
set(version ${VERSION})
find_program(GIT git)
if(GIT AND EXISTS ${SOURCE}/.git)
  execute_process(COMMAND ${GIT} -c safe.directory=* -C ${SOURCE} describe --tags --always --dirty --match "v[0-9]*"
                  OUTPUT_VARIABLE described OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE status)
  if(status EQUAL 0)
    string(REGEX REPLACE "^v" "" described ${described})
    if(described MATCHES "^[0-9]+\\.[0-9]")
      set(version ${described})
    else()
      set(version ${VERSION}+${described})
    endif()
  endif()
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#pragma once\n#define SAFELIGHT_VERSION \"@version@\"\n" @ONLY)
