// A finite double is m * 2^e with an integer m < 2^53, so m * 10^d < 2^83 is exact in 128 bits and the digits
// wanted are that product shifted right by -e, rounded by the bits that fall out. No locale and no floating
// point is involved.
#include "openface/pipeline/csv_format.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <vector>

#include "openface/core/error.h"

namespace openface {

namespace {
__extension__ using Wide = unsigned __int128;

constexpr std::array<std::uint64_t, max_csv_decimals + 1> powers_of_ten = {
    1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000};

// An upper bound of one cell that append_small writes: sign, 20 digits, point and separator.
constexpr std::size_t small_cell = 24;

// |value| * 10^decimals rounded to an integer, ties to even. The exponent must be negative.
Wide scaled_magnitude(std::uint64_t mantissa, int exponent, int decimals) {
    const Wide product = Wide(mantissa) * powers_of_ten[std::size_t(decimals)];
    const int shift = -exponent;
    if (shift >= 100) return 0;  // the product is below 2^83, so less than half of the last digit is left
    const Wide quotient = product >> shift;
    const Wide rest = product - (quotient << shift);
    const Wide half = Wide(1) << (shift - 1);
    const bool up = rest > half || (rest == half && (quotient & 1) != 0);
    return quotient + (up ? 1 : 0);
}

// The digits of scaled with a point before the last `decimals` of them.
char* write_scaled(char* out, std::uint64_t scaled, int decimals) {
    std::array<char, small_cell> digits;
    const char* const first = digits.data();
    const char* const end = std::to_chars(digits.data(), digits.data() + digits.size(), scaled).ptr;
    const auto whole = end - first - decimals;  // digits before the point, or fewer than 0: zeros after it
    if (whole > 0) {
        out = std::copy(first, first + whole, out);
    } else {
        *out++ = '0';
    }
    if (decimals == 0) return out;
    *out++ = '.';
    if (whole < 0) out = std::fill_n(out, -whole, '0');
    return std::copy(first + (whole > 0 ? whole : 0), end, out);
}

// The integer mantissa * 2^exponent (exponent >= 0), in base 10^9, for values too large for 64 bits.
void append_large(std::string& text, std::uint64_t mantissa, int exponent, int decimals) {
    constexpr std::uint64_t base = 1000000000;
    std::vector<std::uint64_t> limbs;
    for (; mantissa > 0; mantissa /= base) limbs.push_back(mantissa % base);
    for (int left = exponent; left > 0; left -= 30) {
        std::uint64_t carry = 0;
        for (std::uint64_t& limb : limbs) {
            const std::uint64_t product = (limb << std::min(left, 30)) + carry;
            limb = product % base;
            carry = product / base;
        }
        for (; carry > 0; carry /= base) limbs.push_back(carry % base);
    }
    text += std::to_string(limbs.back());
    for (std::size_t i = limbs.size() - 1; i-- > 0;) {
        const std::string digits = std::to_string(limbs[i]);
        text.append(9 - digits.size(), '0').append(digits);
    }
    if (decimals > 0) text.append(".").append(std::size_t(decimals), '0');
}
}  // namespace

void append_fixed(std::string& text, double value, int decimals, std::string_view nan) {
    if (std::isnan(value)) {
        text += nan;
        return;
    }
    const std::uint64_t bits = std::bit_cast<std::uint64_t>(value);
    if (bits >> 63 != 0) text += '-';
    if (std::isinf(value)) {
        text += "inf";
        return;
    }
    const int biased = int(bits >> 52 & 0x7ff);
    const std::uint64_t fraction = bits & ((std::uint64_t(1) << 52) - 1);
    const std::uint64_t mantissa = biased == 0 ? fraction : fraction | std::uint64_t(1) << 52;
    const int exponent = std::max(biased, 1) - 1075;
    if (exponent >= 0) {
        append_large(text, mantissa, exponent, decimals);
        return;
    }
    const Wide scaled = scaled_magnitude(mantissa, exponent, decimals);
    if (scaled >> 64 !=
        0) {  // only integers of at least 2^53 / 10^9 = 9 million with many decimals come here
        const std::uint64_t power = powers_of_ten[std::size_t(decimals)];
        text += std::to_string(std::uint64_t(scaled / power));
        const std::string digits = std::to_string(std::uint64_t(scaled % power));
        text.append(".").append(std::size_t(decimals) - digits.size(), '0').append(digits);
        return;
    }
    std::array<char, small_cell> cell;
    text.append(cell.data(), write_scaled(cell.data(), std::uint64_t(scaled), decimals));
}

std::string format_csv_rows(std::span<const double> values, std::span<const int> decimals,
                            std::string_view nan) {
    if (std::ranges::any_of(decimals, [](int d) { return d < 0 || d > max_csv_decimals; }))
        throw Error(Error::Code::input,
                    "decimals: each must be between 0 and " + std::to_string(max_csv_decimals));
    if (decimals.empty() ? !values.empty() : values.size() % decimals.size() != 0)
        throw Error(Error::Code::input, "values: the number of columns differs from the number of decimals");
    std::string text;
    text.reserve(values.size() * 8);
    for (std::size_t row = 0; row < values.size(); row += decimals.size()) {
        for (std::size_t column = 0; column < decimals.size(); ++column) {
            if (column > 0) text += ',';
            append_fixed(text, values[row + column], decimals[column], nan);
        }
        text += '\n';
    }
    return text;
}

}  // namespace openface
