// Bounds-checked reading of OpenFace's binary model files (models.md, sections 4 and 17): little-endian,
// packed.
//
// Every read checks that the bytes are there and that the value makes sense before anything is allocated.
// Failures throw Error(model) with the file, the byte offset, the field and the cause.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "openface/core/aligned.h"

namespace openface {

class BinaryReader {
  public:
    explicit BinaryReader(const std::filesystem::path& path);
    BinaryReader(std::filesystem::path path, std::vector<char> bytes)
        : path_(std::move(path)), bytes_(std::move(bytes)) {}

    std::int32_t read_int(const char* field);
    // An integer in [low, high].
    int read_count(const char* field, int low, int high);
    float read_float(const char* field);
    double read_double(const char* field);

    // The matrices of the files: rows, columns, element code, elements row by row. A real matrix may be
    // stored as float (code 5) or double (code 6); an integer one as int32 (code 4).
    Matrix<float> read_float_matrix(const char* field);
    Matrix<double> read_double_matrix(const char* field);
    Matrix<std::int32_t> read_int_matrix(const char* field);

    std::size_t remaining() const { return bytes_.size() - offset_; }
    // Fails unless everything was consumed.
    void expect_end();
    [[noreturn]] void fail(const char* field, const std::string& cause) const;
    const std::filesystem::path& path() const { return path_; }

  private:
    const char* take(std::size_t count, const char* field);
    template <class T>
    Matrix<T> read_matrix(const char* field, bool real);

    std::filesystem::path path_;
    std::vector<char> bytes_;
    std::size_t offset_ = 0;
};

}  // namespace openface
