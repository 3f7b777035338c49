#include "openface/io/binary_reader.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "openface/io/file_bytes.h"

namespace openface {

static_assert(std::endian::native == std::endian::little,
              "the model files are little-endian and read as they are");

BinaryReader::BinaryReader(const std::filesystem::path& path) : path_(path), bytes_(read_file_bytes(path)) {}

void BinaryReader::fail(const char* field, const std::string& cause) const {
    throw_model_error(path_, "byte " + std::to_string(offset_) + ", " + field, cause);
}

const char* BinaryReader::take(std::size_t count, const char* field) {
    if (count > remaining())
        fail(field, "the file ends here; " + std::to_string(count) + " bytes needed, " +
                        std::to_string(remaining()) + " left");
    const char* position = bytes_.data() + offset_;
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
        offset_ -= sizeof value;
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

template <class T>
Matrix<T> BinaryReader::read_matrix(const char* field, bool real) {
    const std::int32_t rows = read_int(field);
    const std::int32_t cols = read_int(field);
    const std::int32_t code = read_int(field);
    const std::size_t element = code == 6 ? 8 : 4;
    if (real ? (code != 5 && code != 6) : code != 4)
        fail(field, "element code " + std::to_string(code) + (real ? ", 5 or 6 expected" : ", 4 expected"));
    if (rows < 0 || cols < 0)
        fail(field, "a matrix of " + std::to_string(rows) + " x " + std::to_string(cols));
    const std::uint64_t count = std::uint64_t(rows) * std::uint64_t(cols);
    if (count > remaining() / element)
        fail(field, "a matrix of " + std::to_string(rows) + " x " + std::to_string(cols) +
                        " elements does not fit into the rest of the file");
    Matrix<T> matrix(rows, cols);
    const char* source = take(std::size_t(count) * element, field);
    if (code == 6) {
        for (std::size_t i = 0; i < matrix.size(); ++i) {
            double value;
            std::memcpy(&value, source + i * sizeof value, sizeof value);
            matrix.data[i] = T(value);
        }
    } else if constexpr (std::is_same_v<T, double>) {
        for (std::size_t i = 0; i < matrix.size(); ++i) {
            float value;
            std::memcpy(&value, source + i * sizeof value, sizeof value);
            matrix.data[i] = T(value);
        }
    } else if (count > 0) {
        std::memcpy(matrix.data.data(), source, std::size_t(count) * sizeof(T));
    }
    if constexpr (std::is_floating_point_v<T>)
        for (const T value : matrix.data)
            if (!std::isfinite(value)) fail(field, "holds a value that is not a finite number");
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
