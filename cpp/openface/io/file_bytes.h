// A model file's bytes in memory, and the errors that every reader of them raises: path, position, cause.
#pragma once

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace openface {

// Opens a regular file of at most 512 MB and tells its size. Throws Error(model) naming the file and the
// cause.
std::ifstream open_model_file(const std::filesystem::path& path, std::size_t& size);
// Reads a regular file of at most 512 MB. Throws Error(model) naming the file and the cause.
std::vector<char> read_file_bytes(const std::filesystem::path& path);

[[noreturn]] void throw_model_error(const std::filesystem::path& path, const std::string& position,
                                    const std::string& cause);

}  // namespace openface
