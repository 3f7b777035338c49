#include "openface/io/binary_reader.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "openface/io/file_bytes.h"

namespace openface {

static_assert(std::endian::native == std::endian::little,
              "the model files are little-endian and read as they are");

namespace {
constexpr std::size_t piece = std::size_t(1) << 18;  // bytes read from a file at once
}

BinaryReader::BinaryReader(const std::filesystem::path& path)
    : path_(path), stream_(open_model_file(path, size_)) {}

void BinaryReader::fail(const char* field, const std::string& cause) const {
    throw_model_error(path_, "byte " + std::to_string(offset_) + ", " + field, cause);
}

// The next bytes, valid until the next call.
const char* BinaryReader::take(std::size_t count, const char* field) {
    if (count > remaining())
        fail(field, "the file ends here; " + std::to_string(count) + " bytes needed, " +
                        std::to_string(remaining()) + " left");
    if (count > buffer_.size() - used_) {
        buffer_.erase(buffer_.begin(), buffer_.begin() + std::ptrdiff_t(used_));
        used_ = 0;
        const std::size_t kept = buffer_.size();
        buffer_.resize(std::min(std::max(count, piece), remaining()));
        stream_.read(buffer_.data() + kept, std::streamsize(buffer_.size() - kept));
        if (std::size_t(stream_.gcount()) != buffer_.size() - kept) fail(field, "the file can't be read");
    }
    const char* position = buffer_.data() + used_;
    used_ += count;
    offset_ += count;
    return position;
}

std::int32_t BinaryReader::read_int(const char* field) {
    std::int32_t value;
    std::memcpy(&value, take(sizeof value, field), sizeof value);
    return value;
}

int BinaryReader::read_count(const char* field, int low, int high) {
    const std::int32_t value = read_int(field);
    if (value < low || value > high) {
        fail(field, std::to_string(value) + " is not between " + std::to_string(low) + " and " +
                        std::to_string(high));
    }
    return value;
}

float BinaryReader::read_float(const char* field) {
    float value;
    std::memcpy(&value, take(sizeof value, field), sizeof value);
    if (!std::isfinite(value)) fail(field, "not a finite number");
    return value;
}

double BinaryReader::read_double(const char* field) {
    double value;
    std::memcpy(&value, take(sizeof value, field), sizeof value);
    if (!std::isfinite(value)) fail(field, "not a finite number");
    return value;
}

BinaryReader::MatrixHeader BinaryReader::read_matrix_header(const char* field, bool real) {
    const int rows = read_int(field);
    const int cols = read_int(field);
    const int code = read_int(field);
    const std::size_t element = code == 6 ? 8 : 4;
    if (real ? (code != 5 && code != 6) : code != 4)
        fail(field, "element code " + std::to_string(code) + (real ? ", 5 or 6 expected" : ", 4 expected"));
    const std::string shape = "a matrix of " + std::to_string(rows) + " x " + std::to_string(cols);
    if (rows < 0 || cols < 0) fail(field, shape);
    if (std::uint64_t(rows) * std::uint64_t(cols) > remaining() / element)
        fail(field, shape + " elements does not fit into the rest of the file");
    return {rows, cols, code};
}

template <class T>
void BinaryReader::copy_elements(const MatrixHeader& header, T* elements, const char* field) {
    const std::size_t element = header.code == 6 ? 8 : 4;
    for (std::size_t done = 0; done < header.size();) {
        const std::size_t count = std::min(header.size() - done, piece / element);
        const char* source = take(count * element, field);
        if (header.code == 6) {
            for (std::size_t i = 0; i < count; ++i) {
                double value;
                std::memcpy(&value, source + i * sizeof value, sizeof value);
                elements[done + i] = T(value);
            }
        } else if constexpr (std::is_same_v<T, double>) {
            for (std::size_t i = 0; i < count; ++i) {
                float value;
                std::memcpy(&value, source + i * sizeof value, sizeof value);
                elements[done + i] = T(value);
            }
        } else {
            std::memcpy(elements + done, source, count * sizeof(T));
        }
        done += count;
    }
    if constexpr (std::is_floating_point_v<T>)
        if (!std::all_of(elements, elements + header.size(), [](T value) { return std::isfinite(value); }))
            fail(field, "holds a value that is not a finite number");
}

void BinaryReader::read_elements(const MatrixHeader& header, float* elements, const char* field) {
    copy_elements(header, elements, field);
}

template <class T>
Matrix<T> BinaryReader::read_matrix(const char* field, bool real) {
    const MatrixHeader header = read_matrix_header(field, real);
    Matrix<T> matrix(header.rows, header.cols);
    copy_elements(header, matrix.data.data(), field);
    return matrix;
}

Matrix<float> BinaryReader::read_float_matrix(const char* field) {
    return read_matrix<float>(field, true);
}
Matrix<double> BinaryReader::read_double_matrix(const char* field) {
    return read_matrix<double>(field, true);
}
Matrix<std::int32_t> BinaryReader::read_int_matrix(const char* field) {
    return read_matrix<std::int32_t>(field, false);
}

void BinaryReader::expect_end() {
    if (remaining() != 0) fail("end of file", std::to_string(remaining()) + " bytes too many");
}

}  // namespace openface
