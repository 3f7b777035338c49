// Bounds-checked reading of OpenFace's binary model files (models.md, sections 4 and 17): little-endian,
// packed.
//
// Every read checks that the bytes are there and that the value makes sense before anything is allocated.
// Failures throw Error(model) with the file, the byte offset, the field and the cause. A file is read in
// small pieces, so that loading it needs hardly more memory than its contents.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "openface/core/aligned.h"

namespace openface {

class BinaryReader {
  public:
    explicit BinaryReader(const std::filesystem::path& path);
    BinaryReader(std::filesystem::path path, std::vector<char> bytes)
        : path_(std::move(path)), size_(bytes.size()), buffer_(std::move(bytes)) {}

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

    // The same in two steps, for callers that own the memory: the header, checked against the bytes that are
    // left, then the rows * cols elements.
    struct MatrixHeader {
        int rows = 0;
        int cols = 0;
        int code = 0;
        std::size_t size() const { return std::size_t(rows) * std::size_t(cols); }
    };
    MatrixHeader read_real_matrix_header(const char* field) { return read_matrix_header(field, true); }
    void read_elements(const MatrixHeader& header, float* elements, const char* field);

    std::size_t remaining() const { return size_ - offset_; }
    // Fails unless everything was consumed.
    void expect_end();
    [[noreturn]] void fail(const char* field, const std::string& cause) const;
    const std::filesystem::path& path() const { return path_; }

  private:
    const char* take(std::size_t count, const char* field);
    MatrixHeader read_matrix_header(const char* field, bool real);
    template <class T>
    void copy_elements(const MatrixHeader& header, T* elements, const char* field);
    template <class T>
    Matrix<T> read_matrix(const char* field, bool real);

    std::filesystem::path path_;
    std::size_t size_ = 0;    // of the file
    std::size_t offset_ = 0;  // of the next byte in the file
    std::ifstream stream_;
    std::vector<char> buffer_;  // a piece of the file
    std::size_t used_ = 0;      // bytes of the buffer that are consumed
};

}  // namespace openface
