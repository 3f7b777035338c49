// Rows of doubles to CSV text: fixed notation with a given number of decimals per column, rounded correctly
// from the binary value (ties of the exact value to even), which is what C's printf prints in every locale
// with a '.' (tracking.md, section 12). Negative values that round to zero keep their sign: -0.0.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace openface {

inline constexpr int max_csv_decimals = 9;

// Appends value with the given number of decimals (0 to max_csv_decimals; 0 prints an integer). Infinities
// print as inf and -inf, and a value that is not a number as the text given for it.
void append_fixed(std::string& text, double value, int decimals, std::string_view nan);

// Row-major values (rows x decimals.size()) as lines: cells separated by ',', each line ended by '\n'.
std::string format_csv_rows(std::span<const double> values, std::span<const int> decimals,
                            std::string_view nan);

}  // namespace openface
