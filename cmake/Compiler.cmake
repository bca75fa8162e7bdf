# Flags of every target of ours; third-party targets do not get them.
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g -fno-omit-frame-pointer")

add_library(safelight_flags INTERFACE)
# Options are given by designated initialisers, so fields left out are meant.
# Contraction off: a result may not depend on the instruction set beyond what a kernel states by MulAdd.
target_compile_options(safelight_flags INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wno-missing-field-initializers -ffp-contract=off)
if(SAFELIGHT_WERROR)
  target_compile_options(safelight_flags INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports these falsely: in std::variant and std::string at -O2, in Asio's coroutine frames.
  target_compile_options(safelight_flags INTERFACE -Wno-maybe-uninitialized -Wno-restrict -Wno-mismatched-new-delete)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 17)
  # These have C++20's coroutines but do not say so, and then libstdc++ and Asio leave theirs out.
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-D__cpp_impl_coroutine=201902L>)
endif()
if(SAFELIGHT_SANITIZE)
  # -g1: line numbers, which reports need; the rest of debug information takes a quarter of the building time.
  add_compile_options(-fsanitize=${SAFELIGHT_SANITIZE} -fno-sanitize-recover=all -g1)
  add_link_options(-fsanitize=${SAFELIGHT_SANITIZE})
  if(SAFELIGHT_SANITIZE STREQUAL "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Asio has fences, which TSan does not follow; beside each stands a lock, so it sees the order all the same.
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-tsan>)
  endif()
endif()
if(SAFELIGHT_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
