#include "openface/shape/rotation.h"

#include <algorithm>
#include <cmath>

#include "openface/core/math.h"

namespace openface {

namespace {

using Matrix3d = std::array<double, 9>;

double determinant(const Matrix3d& m) {
    return m[0] * (m[4] * m[8] - m[5] * m[7]) - m[1] * (m[3] * m[8] - m[5] * m[6]) +
           m[2] * (m[3] * m[7] - m[4] * m[6]);
}

Matrix3d widened(const Matrix3& m) {
    Matrix3d wide;
    std::copy(m.begin(), m.end(), wide.begin());
    return wide;
}

Matrix3 narrowed(const Matrix3d& m) {
    Matrix3 narrow;
    for (int i = 0; i < 9; ++i) narrow[i] = float(m[i]);
    return narrow;
}

// A = U diag(w) V^T of a small matrix, largest value first, by one-sided Jacobi rotations
// (landmark-fitting.md, section 9.3, item 14, which gives it for floats). The last bits of the rotations that
// follow depend on this very order of operations, and with them where an image is sampled; so it is kept.
template <class Real, int N>
struct Svd {
    std::array<std::array<Real, N>, N> u;  // u[k]: column k of U
    std::array<std::array<Real, N>, N> v;  // v[k]: column k of V
};

// Columns whose product is below this share of their lengths' count as orthogonal.
template <class Real>
constexpr double orthogonal_enough = 2.0 * 1.1920928955078125e-07;
template <>
constexpr double orthogonal_enough<double> = 10.0 * 2.220446049250313e-16;

template <class Real, std::size_t N>
double dot(const std::array<Real, N>& a, const std::array<Real, N>& b) {
    double total = 0.0;
    for (std::size_t i = 0; i < N; ++i) total += double(a[i]) * double(b[i]);
    return total;
}

template <class Real, std::size_t N>
void turn(std::array<Real, N>& a, std::array<Real, N>& b, Real c, Real s) {
    for (std::size_t i = 0; i < N; ++i) {
        const Real x = c * a[i] + s * b[i];
        b[i] = -s * a[i] + c * b[i];
        a[i] = x;
    }
}

template <class Real, int N>
Svd<Real, N> decompose(const std::array<Real, N * N>& matrix) {
    Svd<Real, N> r{};
    std::array<double, N> squares{};
    for (std::size_t k = 0; k < N; ++k) {
        for (std::size_t i = 0; i < N; ++i) r.u[k][i] = matrix[i * N + k];
        r.v[k][k] = Real(1);
        squares[k] = dot(r.u[k], r.u[k]);
    }
    bool turned = true;
    for (int sweep = 0; sweep < 30 && turned; ++sweep) {
        turned = false;
        for (std::size_t i = 0; i + 1 < N; ++i)
            for (std::size_t j = i + 1; j < N; ++j) {
                double p = dot(r.u[i], r.u[j]);
                if (!(std::fabs(p) > orthogonal_enough<Real> * std::sqrt(squares[i] * squares[j]))) continue;
                p *= 2.0;
                const double beta = squares[i] - squares[j], gamma = std::sqrt(p * p + beta * beta);
                Real c, s;
                if (beta < 0.0) {
                    s = Real(std::sqrt((gamma - beta) / (2.0 * gamma)));
                    c = Real(p / (2.0 * gamma * double(s)));
                } else {
                    c = Real(std::sqrt((gamma + beta) / (2.0 * gamma)));
                    s = Real(p / (2.0 * gamma * double(c)));
                }
                turn(r.u[i], r.u[j], c, s);
                turn(r.v[i], r.v[j], c, s);
                squares[i] = dot(r.u[i], r.u[i]);
                squares[j] = dot(r.u[j], r.u[j]);
                turned = true;
            }
    }
    std::array<double, N> norms{};
    for (std::size_t k = 0; k < N; ++k) norms[k] = std::sqrt(dot(r.u[k], r.u[k]));
    for (std::size_t k = 0; k + 1 < N; ++k) {
        std::size_t largest = k;
        for (std::size_t l = k + 1; l < N; ++l)
            if (norms[l] > norms[largest]) largest = l;
        std::swap(norms[k], norms[largest]);
        std::swap(r.u[k], r.u[largest]);
        std::swap(r.v[k], r.v[largest]);
    }
    for (std::size_t k = 0; k < N; ++k) {
        const Real scale = Real(norms[k] > 0.0 ? 1.0 / norms[k] : 0.0);
        for (Real& value : r.u[k]) value *= scale;
    }
    return r;
}

// The rotation nearest to a matrix that nearly is one. Near the identity the angle of a rotation magnifies
// last bits of its elements, so this follows the reference's order too.
Matrix3d nearest_orthogonal(const Matrix3d& m) {
    const Svd<double, 3> svd = decompose<double, 3>(m);
    Matrix3d r;
    for (std::size_t row = 0; row < 3; ++row)
        for (std::size_t col = 0; col < 3; ++col)
            r[row * 3 + col] =
                svd.u[0][row] * svd.v[0][col] + svd.u[1][row] * svd.v[1][col] + svd.u[2][row] * svd.v[2][col];
    return r;
}

// The rotation nearest to I + [w]x, in float (section 9.3, item 15).
Matrix3 small_rotation(const Vector3& w) {
    const Svd<float, 3> svd = decompose<float, 3>({1.0f, -w[2], w[1], w[2], 1.0f, -w[0], -w[1], w[0], 1.0f});
    const auto product = [&svd](float last) {
        Matrix3 m;
        for (std::size_t row = 0; row < 3; ++row)
            for (std::size_t col = 0; col < 3; ++col)
                m[row * 3 + col] = svd.u[0][row] * svd.v[0][col] + svd.u[1][row] * svd.v[1][col] +
                                   (svd.u[2][row] * last) * svd.v[2][col];
        return m;
    };
    return product(float(determinant(widened(product(1.0f)))));
}

// a * b + c with one rounding; scalar code here runs once per iteration, so exactness counts more than speed.
float fused(float a, float b, float c) {
    return std::fma(a, b, c);
}

Matrix3 rotation_of(float s1, float c1, float s2, float c2, float s3, float c3) {
    return {c2 * c3,
            -c2 * s3,
            s2,
            fused(c1, s3, (c3 * s1) * s2),
            fused(-(s1 * s2), s3, c1 * c3),
            -c2 * s1,
            fused(s1, s3, -((c1 * c3) * s2)),
            fused(c1 * s2, s3, c3 * s1),
            c1 * c2};
}

// Root of the mean squared distance of points from their mean. The squares are floats and their sum is a
// double, but behind the last multiple of sixteen coordinates (x and y in turn) four are added as floats
// before they join it: the golden similarities are exact only so.
float spread(const float* x, const float* y, float mean_x, float mean_y, int count) {
    const auto square = [&](int k) {
        const float centred = k % 2 == 0 ? x[k / 2] - mean_x : y[k / 2] - mean_y;
        return centred * centred;
    };
    const int values = 2 * count;
    double total = 0.0;
    int k = 0;
    for (; k < values / 16 * 16; ++k) total += double(square(k));
    for (; k + 4 <= values; k += 4)
        total += double(((square(k) + square(k + 1)) + square(k + 2)) + square(k + 3));
    for (; k < values; ++k) total += double(square(k));
    return float(std::sqrt(total / count));
}

}  // namespace

Matrix3 rotation_from_euler(float rx, float ry, float rz) {
    return rotation_of(float(math::sin(rx)), float(math::cos(rx)), float(math::sin(ry)), float(math::cos(ry)),
                       float(math::sin(rz)), float(math::cos(rz)));
}

Matrix3 rotation_from_euler_in_float(float rx, float ry, float rz) {
    return rotation_of(math::single_sin(rx), math::single_cos(rx), math::single_sin(ry), math::single_cos(ry),
                       math::single_sin(rz), math::single_cos(rz));
}

Vector3 euler_from_rotation(const Matrix3& r) {
    const float q0 = float(std::sqrt(double(((1.0f + r[0]) + r[4]) + r[8])) / 2.0);
    const float q1 = (r[7] - r[5]) / (4.0f * q0);
    const float q2 = (r[2] - r[6]) / (4.0f * q0);
    const float q3 = (r[3] - r[1]) / (4.0f * q0);
    const float sine = 2.0f * fused(q0, q2, q1 * q3);
    const float ry = float(math::asin(std::min(1.0f, std::max(-1.0f, sine))));
    const float rx = float(math::atan2(2.0f * fused(q0, q1, -(q2 * q3)),
                                       fused(q3, q3, fused(-q2, q2, fused(q0, q0, -(q1 * q1))))));
    const float rz = float(math::atan2(2.0f * fused(q0, q3, -(q1 * q2)),
                                       fused(-q3, q3, fused(-q2, q2, fused(q0, q0, q1 * q1)))));
    return {rx, sine == sine ? ry : sine, rz};
}

Vector3 axis_angle_from_rotation(const Matrix3& rotation) {
    const Matrix3d r = nearest_orthogonal(widened(rotation));
    const double x = r[7] - r[5], y = r[2] - r[6], z = r[3] - r[1];
    const double sine = std::sqrt((x * x + y * y + z * z) * 0.25);
    const double cosine = std::min(1.0, std::max(-1.0, (r[0] + r[4] + r[8] - 1.0) * 0.5));
    if (sine >= 1e-5) {
        const double factor = 1.0 / (2.0 * sine) * math::acos(cosine);
        return {float(x * factor), float(y * factor), float(z * factor)};
    }
    if (cosine > 0.0) return {0.0f, 0.0f, 0.0f};
    // Half a turn: the axis comes from the diagonal, its signs from the other elements.
    const auto magnitude = [](double diagonal) { return std::sqrt(std::max((diagonal + 1.0) * 0.5, 0.0)); };
    const double ax = magnitude(r[0]);
    const double ay = magnitude(r[4]) * (r[1] < 0.0 ? -1.0 : 1.0);
    double az = magnitude(r[8]) * (r[2] < 0.0 ? -1.0 : 1.0);
    if (std::fabs(ax) < std::fabs(ay) && std::fabs(ax) < std::fabs(az) && (r[5] > 0.0) != (ay * az > 0.0))
        az = -az;
    const double factor = math::acos(cosine) / std::sqrt(ax * ax + ay * ay + az * az);
    return {float(ax * factor), float(ay * factor), float(az * factor)};
}

Matrix3 rotation_from_axis_angle(const Vector3& axis_angle) {
    const double x = axis_angle[0], y = axis_angle[1], z = axis_angle[2];
    const double angle = std::sqrt(x * x + y * y + z * z);
    if (angle < 2.220446049250313e-16) return {1.0f, 0.0f, 0.0f, 0.0f, 1.0f, 0.0f, 0.0f, 0.0f, 1.0f};
    const double c = math::cos(angle), s = math::sin(angle), c1 = 1.0 - c;
    const double inverse = 1.0 / angle;
    const double kx = x * inverse, ky = y * inverse, kz = z * inverse;
    return narrowed({c + c1 * (kx * kx), c1 * (kx * ky) - s * kz, c1 * (kx * kz) + s * ky,
                     c1 * (kx * ky) + s * kz, c + c1 * (ky * ky), c1 * (ky * kz) - s * kx,
                     c1 * (kx * kz) - s * ky, c1 * (ky * kz) + s * kx, c + c1 * (kz * kz)});
}

Vector3 compose_rotation(const Vector3& old_euler, const Vector3& w) {
    const Matrix3 r1 = rotation_from_euler(old_euler[0], old_euler[1], old_euler[2]);
    const Matrix3 r2 = small_rotation(w);
    Matrix3 r3;
    for (int row = 0; row < 3; ++row)
        for (int col = 0; col < 3; ++col)
            r3[row * 3 + col] = fused(r1[row * 3 + 2], r2[6 + col],
                                      fused(r1[row * 3 + 1], r2[3 + col], r1[row * 3] * r2[col]));
    Vector3 euler = euler_from_rotation(rotation_from_axis_angle(axis_angle_from_rotation(r3)));
    if (!(std::isfinite(euler[0]) && std::isfinite(euler[1]) && std::isfinite(euler[2])))
        euler = {0.0f, 0.0f, 0.0f};
    return euler;
}

Similarity inverse(const Similarity& s) {
    const float determinant = fused(s.xx, s.yy, -(s.xy * s.yx));
    const float e = 1.0f / determinant;
    return {s.yy * e, -s.xy * e, -s.yx * e, s.xx * e};
}

Similarity similarity_between(const float* source_x, const float* source_y, const float* destination_x,
                              const float* destination_y, int count) {
    const auto mean = [count](const float* v) {
        double total = 0.0;
        for (int i = 0; i < count; ++i) total += v[i];
        return float(total / count);
    };
    const float ax = mean(source_x), ay = mean(source_y), bx = mean(destination_x), by = mean(destination_y);
    const float sigma_a = spread(source_x, source_y, ax, ay, count);
    const float sigma_b = spread(destination_x, destination_y, bx, by, count);
    const float scale_a = float(1.0 / sigma_a), scale_b = float(1.0 / sigma_b);
    double xx = 0.0, xy = 0.0, yx = 0.0, yy = 0.0;
    for (int i = 0; i < count; ++i) {
        const double px = (source_x[i] - ax) * scale_a, py = (source_y[i] - ay) * scale_a;
        const double qx = (destination_x[i] - bx) * scale_b, qy = (destination_y[i] - by) * scale_b;
        xx += px * qx;
        xy += px * qy;
        yx += py * qx;
        yy += py * qy;
    }
    // Kabsch: rotation V U^T, without reflection.
    const Svd<float, 2> svd = decompose<float, 2>({float(xx), float(xy), float(yx), float(yy)});
    const auto entry = [&svd](std::size_t row, std::size_t col, double last) {
        return float(double(svd.v[0][row]) * svd.u[0][col] + double(svd.v[1][row]) * last * svd.u[1][col]);
    };
    const double handedness =
        double(entry(0, 0, 1.0)) * entry(1, 1, 1.0) - double(entry(0, 1, 1.0)) * entry(1, 0, 1.0);
    const double last = handedness < 0.0 ? -1.0 : 1.0;
    const float scale = float(double(sigma_b) / double(sigma_a));
    return {scale * entry(0, 0, last), scale * entry(0, 1, last), scale * entry(1, 0, last),
            scale * entry(1, 1, last)};
}

}  // namespace openface
