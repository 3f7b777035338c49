// Scalar transcendental functions in double with the same bits on every machine.
//
// A C library's sin, exp or atan2 differs in the last bit between systems, and even between CPUs on one
// system. These use only +, -, *, / and sqrt, which IEEE 754 fixes; errors stay below about 2 units in the
// last place of a double, far below the float that every result is rounded to. Polynomials are Taylor series
// on a reduced argument.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace openface::math {

inline constexpr double pi = 3.14159265358979323846;

namespace detail {

// sin and cos for |x| <= pi/4.
inline double sin_reduced(double x) {
    const double z = x * x;
    double p = -1.0 / 1307674368000.0;
    p = p * z + 1.0 / 6227020800.0;
    p = p * z - 1.0 / 39916800.0;
    p = p * z + 1.0 / 362880.0;
    p = p * z - 1.0 / 5040.0;
    p = p * z + 1.0 / 120.0;
    p = p * z - 1.0 / 6.0;
    return x + x * (z * p);
}
inline double cos_reduced(double x) {
    const double z = x * x;
    double p = 1.0 / 20922789888000.0;
    p = p * z - 1.0 / 87178291200.0;
    p = p * z + 1.0 / 479001600.0;
    p = p * z - 1.0 / 3628800.0;
    p = p * z + 1.0 / 40320.0;
    p = p * z - 1.0 / 720.0;
    p = p * z + 1.0 / 24.0;
    return 1.0 - (0.5 * z - z * z * p);
}
// x minus the nearest multiple of pi/2, pi/2 in three parts; good for |x| < 1e5, which angles of a head never
// leave.
inline int reduce_half_pi(double x, double& reduced) {
    const double n = std::nearbyint(x * (2.0 / pi));
    double r = x - n * 1.57079632673412561417e+00;
    r -= n * 6.07710050630396597660e-11;
    r -= n * 2.02226624879595063154e-21;
    reduced = r;
    return int(std::int64_t(n) & 3);
}

}  // namespace detail

inline double sin(double x) {
    if (!(std::fabs(x) < 1e5)) return std::numeric_limits<double>::quiet_NaN();
    double r;
    switch (detail::reduce_half_pi(x, r)) {
        case 0:
            return detail::sin_reduced(r);
        case 1:
            return detail::cos_reduced(r);
        case 2:
            return -detail::sin_reduced(r);
        default:
            return -detail::cos_reduced(r);
    }
}

inline double cos(double x) {
    if (!(std::fabs(x) < 1e5)) return std::numeric_limits<double>::quiet_NaN();
    double r;
    switch (detail::reduce_half_pi(x, r)) {
        case 0:
            return detail::cos_reduced(r);
        case 1:
            return -detail::sin_reduced(r);
        case 2:
            return -detail::cos_reduced(r);
        default:
            return detail::sin_reduced(r);
    }
}

// Sine and cosine in single precision: the polynomials, of about 30 bits, and the evaluation order of the GNU
// C library's sinf and cosf, which the reference calls. About one value in a thousand is rounded the other
// way than the exact one. |x| < 1e5.
namespace detail {

inline double single_sine(double x, double z) {
    const double cube = x * z;
    const double high = 0x1.1107605230bc4p-7 + z * -0x1.994eb3774cf24p-13;
    return (x + cube * -0x1.555545995a603p-3) + cube * z * high;
}
inline double single_cosine(double z) {
    const double fourth = z * z;
    const double high = -0x1.6c087e89a359dp-10 + z * 0x1.99343027bf8c3p-16;
    return (1.0 + z * -0x1.ffffffd0c621cp-2 + fourth * 0x1.55553e1068f19p-5) + fourth * z * high;
}
inline float single_sine_of_quarter(float x, int quarter) {
    const double wide = x;
    const int n = std::fabs(x) < 0.785398185f ? 0 : int(std::nearbyint(wide * (2.0 / pi)));
    const double r = wide - n * 1.57079632679489655800;
    const int q = (n + quarter) & 3;
    const double value = q % 2 == 0 ? single_sine(r, r * r) : single_cosine(r * r);
    return float(q < 2 ? value : -value);
}

}  // namespace detail

inline float single_sin(float x) {
    return std::fabs(x) < 1e5f ? detail::single_sine_of_quarter(x, 0)
                               : std::numeric_limits<float>::quiet_NaN();
}
inline float single_cos(float x) {
    return std::fabs(x) < 1e5f ? detail::single_sine_of_quarter(x, 1)
                               : std::numeric_limits<float>::quiet_NaN();
}

inline double atan(double x) {
    if (x < 0.0) return -atan(-x);
    if (x > 1.0) return pi / 2 - atan(1.0 / x);
    if (!(x == x)) return x;
    // atan(x) = 2 atan(x / (1 + sqrt(1 + x^2))), twice: then |y| <= tan(pi/16) < 0.199.
    double y = x / (1.0 + std::sqrt(1.0 + x * x));
    y = y / (1.0 + std::sqrt(1.0 + y * y));
    const double z = y * y;
    double p = 0.0;
    for (int k = 23; k >= 3; k -= 2) p = ((k / 2) % 2 == 0 ? 1.0 / k : -1.0 / k) + z * p;
    return 4.0 * (y + y * (z * p));
}

inline double atan2(double y, double x) {
    if (x > 0.0) return atan(y / x);
    if (x < 0.0) return std::signbit(y) ? atan(y / x) - pi : atan(y / x) + pi;
    if (y > 0.0) return pi / 2;
    if (y < 0.0) return -pi / 2;
    if (y == 0.0) return std::signbit(x) ? std::copysign(pi, y) : y;
    return std::numeric_limits<double>::quiet_NaN();
}

inline double asin(double x) {
    return atan2(x, std::sqrt((1.0 - x) * (1.0 + x)));
}
inline double acos(double x) {
    return atan2(std::sqrt((1.0 - x) * (1.0 + x)), x);
}

inline double exp(double x) {
    if (!(x == x)) return x;
    if (x < -700.0) return 0.0;
    if (x > 700.0) return std::numeric_limits<double>::infinity();
    const double n = std::nearbyint(x * 1.44269504088896340736);
    double r = x - n * 6.93147180369123816490e-01;
    r -= n * 1.90821492927058770002e-10;
    double p = 1.0;
    for (int k = 13; k >= 1; --k) p = 1.0 + p * (r / k);
    return p * std::bit_cast<double>(std::uint64_t(std::int64_t(n) + 1023) << 52);
}

// Natural logarithm of a positive normal number; log(0) is -infinity.
inline double log(double x) {
    if (x == 0.0) return -std::numeric_limits<double>::infinity();
    if (!(x > 0.0)) return std::numeric_limits<double>::quiet_NaN();
    if (x == std::numeric_limits<double>::infinity()) return x;
    int exponent = 0;
    double m = std::frexp(x, &exponent);  // in [0.5, 1)
    if (m < 0.70710678118654752440) {
        m *= 2.0;
        --exponent;
    }
    const double s = (m - 1.0) / (m + 1.0);  // |s| <= 0.1716
    const double z = s * s;
    double p = 0.0;
    for (int k = 21; k >= 3; k -= 2) p = 1.0 / k + z * p;
    return exponent * 0.693147180559945309417 + 2.0 * (s + s * (z * p));
}

inline double log2(double x) {
    return log(x) * 1.44269504088896340736;
}

}  // namespace openface::math
