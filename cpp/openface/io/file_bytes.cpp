#include "openface/io/file_bytes.h"

#include <cerrno>
#include <cstring>

#include "openface/core/error.h"

namespace openface {

void throw_model_error(const std::filesystem::path& path, const std::string& position,
                       const std::string& cause) {
    throw Error(Error::Code::model, "model file '" + path.string() + "'" +
                                        (position.empty() ? "" : ", " + position) + ": " + cause);
}

std::ifstream open_model_file(const std::filesystem::path& path, std::size_t& size) {
    namespace fs = std::filesystem;
    constexpr std::uintmax_t largest = std::uintmax_t(512) << 20;
    std::error_code code;
    const fs::file_status status = fs::status(path, code);
    if (!fs::exists(status)) throw_model_error(path, "", "the file does not exist");
    if (!fs::is_regular_file(status)) throw_model_error(path, "", "not a regular file");
    const std::uintmax_t byte_count = fs::file_size(path, code);
    if (code) throw_model_error(path, "", "can't be read (" + code.message() + ")");
    if (byte_count > largest) throw_model_error(path, "", "larger than 512 MB, which no model file is");
    std::ifstream stream(path, std::ios::binary);
    if (!stream) throw_model_error(path, "", std::string("can't be opened (") + std::strerror(errno) + ")");
    size = std::size_t(byte_count);
    return stream;
}

std::vector<char> read_file_bytes(const std::filesystem::path& path) {
    std::size_t size = 0;
    std::ifstream stream = open_model_file(path, size);
    std::vector<char> bytes(size);
    stream.read(bytes.data(), std::streamsize(bytes.size()));
    if (std::size_t(stream.gcount()) != bytes.size()) throw_model_error(path, "", "can't be read to its end");
    return bytes;
}

}  // namespace openface
