#include "openface/io/text_reader.h"

#include <charconv>
#include <cmath>

#include "openface/io/file_bytes.h"

namespace openface {

namespace {

constexpr std::string_view blanks = " \t\r\n\f\v";

std::vector<char> without_byte_order_mark(std::vector<char> bytes) {
    if (bytes.size() >= 3 && bytes[0] == '\xEF' && bytes[1] == '\xBB' && bytes[2] == '\xBF')
        bytes.erase(bytes.begin(), bytes.begin() + 3);
    return bytes;
}

}  // namespace

TextReader::TextReader(const std::filesystem::path& path) : TextReader(path, read_file_bytes(path)) {}

TextReader::TextReader(std::filesystem::path path, std::vector<char> bytes)
    : path_(std::move(path)), bytes_(without_byte_order_mark(std::move(bytes))) {}

void TextReader::fail(const char* field, const std::string& cause) const {
    throw_model_error(path_, "line " + std::to_string(line_) + ", " + field, cause);
}

void TextReader::skip_blanks_and_comments() {
    while (offset_ < bytes_.size()) {
        const char c = bytes_[offset_];
        if (c == '#' && line_start_) {
            while (offset_ < bytes_.size() && bytes_[offset_] != '\n') ++offset_;
        } else if (c == '\n') {
            ++line_;
            line_start_ = true;
            ++offset_;
        } else if (blanks.find(c) != std::string_view::npos) {
            line_start_ = false;
            ++offset_;
        } else {
            return;
        }
    }
}

std::string_view TextReader::next_token(const char* field) {
    skip_blanks_and_comments();
    if (offset_ >= bytes_.size()) fail(field, "the file ends here; a number is missing");
    const std::size_t start = offset_;
    while (offset_ < bytes_.size() && blanks.find(bytes_[offset_]) == std::string_view::npos) ++offset_;
    line_start_ = false;
    return {bytes_.data() + start, offset_ - start};
}

int TextReader::read_int(const char* field) {
    const std::string_view token = next_token(field);
    int value = 0;
    const auto [end, code] = std::from_chars(token.data(), token.data() + token.size(), value);
    if (code != std::errc() || end != token.data() + token.size())
        fail(field, "'" + std::string(token.substr(0, 40)) + "' is not a whole number");
    return value;
}

int TextReader::read_count(const char* field, int low, int high) {
    const int value = read_int(field);
    if (value < low || value > high)
        fail(field, std::to_string(value) + " is not between " + std::to_string(low) + " and " +
                        std::to_string(high));
    return value;
}

double TextReader::read_double(const char* field) {
    std::string_view token = next_token(field);
    if (!token.empty() && token.front() == '+') token.remove_prefix(1);
    double value = 0.0;
    const auto [end, code] = std::from_chars(token.data(), token.data() + token.size(), value);
    if (code != std::errc() || end != token.data() + token.size() || !std::isfinite(value))
        fail(field, "'" + std::string(token.substr(0, 40)) + "' is not a finite number");
    return value;
}

std::pair<int, int> TextReader::read_shape(const char* field, bool real) {
    const int rows = read_int(field);
    const int cols = read_int(field);
    const int code = read_int(field);
    if (real ? (code != 5 && code != 6) : code != 4)
        fail(field, "element code " + std::to_string(code) + (real ? ", 5 or 6 expected" : ", 4 expected"));
    if (rows < 1 || cols < 1)
        fail(field, "a matrix of " + std::to_string(rows) + " x " + std::to_string(cols));
    // Each number takes at least two characters, the last one perhaps only one.
    if (std::uint64_t(rows) * std::uint64_t(cols) > (bytes_.size() - offset_ + 1) / 2)
        fail(field, "a matrix of " + std::to_string(rows) + " x " + std::to_string(cols) +
                        " numbers does not fit into the rest of the file");
    return {rows, cols};
}

Matrix<double> TextReader::read_real_matrix(const char* field) {
    const auto [rows, cols] = read_shape(field, true);
    Matrix<double> matrix(rows, cols);
    for (double& value : matrix.data) value = read_double(field);
    return matrix;
}

Matrix<int> TextReader::read_int_matrix(const char* field) {
    const auto [rows, cols] = read_shape(field, false);
    Matrix<int> matrix(rows, cols);
    for (int& value : matrix.data) value = read_int(field);
    return matrix;
}

bool TextReader::at_end() {
    skip_blanks_and_comments();
    return offset_ >= bytes_.size();
}

void TextReader::expect_end() {
    if (!at_end()) fail("end of file", "more numbers than expected");
}

std::vector<ListingLine> read_listing(const std::filesystem::path& path) {
    const std::vector<char> bytes = without_byte_order_mark(read_file_bytes(path));
    const std::string_view text(bytes.data(), bytes.size());
    std::vector<ListingLine> lines;
    int number = 0;
    for (std::size_t start = 0; start < text.size();) {
        const std::size_t stop = std::min(text.find('\n', start), text.size());
        std::string_view line = text.substr(start, stop - start);
        start = stop + 1;
        ++number;
        const std::size_t last = line.find_last_not_of(blanks);
        if (last == std::string_view::npos || line.front() == '#') continue;
        line = line.substr(0, last + 1);
        line.remove_prefix(line.find_first_not_of(blanks));
        const std::size_t gap = std::min(line.find_first_of(blanks), line.size());
        std::string_view rest = line.substr(gap);
        rest.remove_prefix(std::min(rest.find_first_not_of(blanks), rest.size()));
        lines.push_back({number, std::string(line.substr(0, gap)), std::string(rest)});
    }
    return lines;
}

}  // namespace openface
