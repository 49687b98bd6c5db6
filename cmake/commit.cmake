# SPDX-License-Identifier: Apache-2.0
# Writes the commit of SOURCE to the C++ file OUT, if it is another one than there: cmake -DSOURCE=... -DOUT=... -P commit.cmake
execute_process(COMMAND git -C ${SOURCE} rev-parse --short HEAD OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE
  RESULT_VARIABLE status ERROR_QUIET)
if(NOT status EQUAL 0)
  set(commit unknown)
endif()
file(CONFIGURE OUTPUT ${OUT} CONTENT "extern const char* const kPerdureCommit;\nconst char* const kPerdureCommit = \"${commit}\";\n")
