// SPDX-License-Identifier: Apache-2.0

#include "plugins/stores/file/messages.hpp"

#include <cerrno>
#include <system_error>

#include "core/api/error.hpp"

namespace perdure::file_store {
namespace {

const char* advice(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "free some space and try again";
    case EROFS:
    case EACCES:
    case EPERM:
      return "get access to the folder or set another store.path";
    case EIO:
      return "check the disk";
    case EINVAL:
    case ENOTSUP:
    case ENOSYS:
      return "set store.durability: relaxed if the file system cannot do it";
    case ELOOP:
      return "replace the symbolic link, a store never follows one";
    default:
      return "fix the cause and try again";
  }
}

}  // namespace

std::string describe(const char* verb, std::string_view name, const std::string& path) {
  return std::string("cannot ") + verb + " session '" + std::string(name) + "' in " + path;
}

std::string describe_save(std::string_view name, const std::string& path) {
  return describe("save", name, path) + " (saved generations are unchanged)";
}

void fail(const std::string& what, const char* step, int error) {
  throw Error(what + ": " + step + " failed (" + std::generic_category().message(error) + "); " +
              advice(error));
}

}  // namespace perdure::file_store
