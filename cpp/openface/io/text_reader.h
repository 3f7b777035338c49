// Reading of OpenFace's text model files (models.md, section 3): numbers between white space, comment lines
// with '#'.
//
// Numbers are parsed without regard to the locale. Failures throw Error(model) with the file, the line, the
// field.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "openface/core/aligned.h"

namespace openface {

class TextReader {
  public:
    explicit TextReader(const std::filesystem::path& path);
    TextReader(std::filesystem::path path, std::vector<char> bytes);

    int read_int(const char* field);
    int read_count(const char* field, int low, int high);
    double read_double(const char* field);
    // A matrix "rows cols code" with its numbers row by row. Codes 5 and 6 are real, 4 is integer.
    Matrix<double> read_real_matrix(const char* field);
    Matrix<int> read_int_matrix(const char* field);

    bool at_end();
    void expect_end();
    [[noreturn]] void fail(const char* field, const std::string& cause) const;
    const std::filesystem::path& path() const { return path_; }

  private:
    std::string_view next_token(const char* field);
    void skip_blanks_and_comments();
    std::pair<int, int> read_shape(const char* field, bool real);

    std::filesystem::path path_;
    std::vector<char> bytes_;
    std::size_t offset_ = 0;
    int line_ = 1;
    bool line_start_ = true;
};

// One line of a listing or main file: its first token and the rest.
struct ListingLine {
    int number = 0;
    std::string keyword;
    std::string rest;
};

// The non-empty lines of a main file or listing (models.md, sections 5 and 6), carriage returns stripped.
std::vector<ListingLine> read_listing(const std::filesystem::path& path);

}  // namespace openface
