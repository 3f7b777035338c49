#include "openface/face_detector/face_probability.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "openface/core/math.h"

namespace openface {

namespace {

// OpenCV's exponential of floats, in the version with fused multiply-adds: 2^(n/64) from a table, times a
// polynomial of what is left. The polynomial's first coefficient is taken out of it and into the table.
constexpr double leading = .9670371139572337719125840413672004409288e-2;
constexpr float coefficients[] = {float(.5550339366753125211915322047004666939128e-1 / leading),
                                  float(.2402265109513301490103372422686535526573 / leading),
                                  float(.6931471805521448196800669615864773144641 / leading),
                                  float(1.000000000000002438532970795181890933776 / leading)};
constexpr int steps = 64;

const std::array<float, steps> powers = [] {
    std::array<float, steps> table{};
    for (int i = 0; i < steps; ++i)
        table[std::size_t(i)] = float(math::exp(i * (0.693147180559945309417 / steps)) * leading);
    return table;
}();

float opencv_exp(float x) {
    constexpr float limit = 80.0f;  // beyond it, a probability is 0 or 1; stands for what is no number, too
    const float scaled = std::max(-limit, std::min(limit, x)) * float(1.4426950408889634074 * steps);
    const float whole = std::nearbyint(scaled);
    const float rest = (scaled - whole) * (1.0f / steps);
    const int n = int(whole);
    const float power = std::ldexp(powers[std::size_t(n & (steps - 1))], n >> 6);
    float polynomial = rest + coefficients[0];
    for (int k = 1; k < 4; ++k) polynomial = std::fma(polynomial, rest, coefficients[k]);
    return polynomial * power;
}

}  // namespace

float proposal_probability(float o0, float o1) {
    return 1.0f / (1.0f + opencv_exp(o0 - o1));
}

float face_probability(float o0, float o1) {
    return float(1.0 / (1.0 + double(float(math::exp(double(o0 - o1))))));
}

}  // namespace openface
