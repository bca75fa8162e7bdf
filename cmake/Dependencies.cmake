# Third-party parts. Debian packages are found where Debian puts them; the rest is fetched once by tools/deps.sh
# into a cache outside the tree, keyed by the hash of its lock file.
find_package(Threads REQUIRED)
if(SAFELIGHT_FUZZ)
  # No fuzz target reaches the engine, and Debian's clang has OpenMP only in a further package.
  add_library(OpenMP::OpenMP_CXX INTERFACE IMPORTED)
else()
  find_package(OpenMP REQUIRED COMPONENTS CXX)
endif()
find_package(spdlog REQUIRED)
find_package(fmt REQUIRED)
find_package(CLI11 REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json url)
find_package(OpenSSL REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(hwy REQUIRED IMPORTED_TARGET libhwy)
pkg_check_modules(zlib REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(spng REQUIRED IMPORTED_TARGET spng)
pkg_check_modules(jpeg REQUIRED IMPORTED_TARGET libjpeg)
pkg_check_modules(webp REQUIRED IMPORTED_TARGET libwebp libwebpmux)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus)
find_package(GTest REQUIRED)

execute_process(COMMAND ${CMAKE_SOURCE_DIR}/tools/deps.sh
                OUTPUT_VARIABLE SAFELIGHT_DEPS_DIR OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE deps_status)
if(NOT deps_status EQUAL 0)
  message(FATAL_ERROR "tools/deps.sh could not fetch the third-party parts; its message stands above.")
endif()
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
  ${CMAKE_SOURCE_DIR}/tools/deps.lock ${CMAKE_SOURCE_DIR}/tools/deps-sources.lock ${CMAKE_SOURCE_DIR}/tools/deps-npm.lock)
message(STATUS "Third-party parts: ${SAFELIGHT_DEPS_DIR}")

add_library(dnnl SHARED IMPORTED)
set_target_properties(dnnl PROPERTIES
  IMPORTED_LOCATION ${SAFELIGHT_DEPS_DIR}/onednn/lib/libdnnl.so.3
  INTERFACE_INCLUDE_DIRECTORIES ${SAFELIGHT_DEPS_DIR}/onednn/include)

# SQLite with its recommended options, and nothing that Safelight does not use.
add_library(sqlite3 STATIC ${SAFELIGHT_DEPS_DIR}/sqlite/sqlite3.c)
target_include_directories(sqlite3 SYSTEM PUBLIC ${SAFELIGHT_DEPS_DIR}/sqlite)
target_compile_definitions(sqlite3 PRIVATE
  SQLITE_THREADSAFE=2 SQLITE_DQS=0 SQLITE_DEFAULT_MEMSTATUS=0 SQLITE_OMIT_DEPRECATED SQLITE_OMIT_LOAD_EXTENSION
  SQLITE_OMIT_SHARED_CACHE SQLITE_LIKE_DOESNT_MATCH_BLOBS SQLITE_USE_ALLOCA SQLITE_STRICT_SUBTYPE=1 HAVE_USLEEP=1)
target_link_libraries(sqlite3 PRIVATE Threads::Threads)

file(GLOB hiredis_sources ${SAFELIGHT_DEPS_DIR}/hiredis/*.c)
list(FILTER hiredis_sources EXCLUDE REGEX "/(dict|test)\\.c$") # dict.c is included by async.c
add_library(hiredis STATIC ${hiredis_sources})
target_include_directories(hiredis SYSTEM PUBLIC ${SAFELIGHT_DEPS_DIR})
target_link_libraries(hiredis PUBLIC OpenSSL::SSL)
