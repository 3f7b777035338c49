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

// The orthogonal factor of the polar decomposition, which is U V^T of the singular value decomposition, by
// Newton's iteration X <- (X + X^-T) / 2 (Higham 1986). It converges quadratically; near-rotations need two
// or three steps.
Matrix3d nearest_orthogonal(Matrix3d x) {
    for (int step = 0; step < 30; ++step) {
        const double det = determinant(x);
        if (!(std::fabs(det) > 1e-12)) return x;
        const double f = 1.0 / det;
        const Matrix3d cofactor = {(x[4] * x[8] - x[5] * x[7]) * f, (x[5] * x[6] - x[3] * x[8]) * f,
                                   (x[3] * x[7] - x[4] * x[6]) * f, (x[2] * x[7] - x[1] * x[8]) * f,
                                   (x[0] * x[8] - x[2] * x[6]) * f, (x[1] * x[6] - x[0] * x[7]) * f,
                                   (x[1] * x[5] - x[2] * x[4]) * f, (x[2] * x[3] - x[0] * x[5]) * f,
                                   (x[0] * x[4] - x[1] * x[3]) * f};
        double change = 0.0;
        for (int i = 0; i < 9; ++i) {
            const double next = 0.5 * (x[i] + cofactor[i]);
            change = std::max(change, std::fabs(next - x[i]));
            x[i] = next;
        }
        // The error after a step is about half the square of the change.
        if (change < 1e-8) break;
    }
    return x;
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

// a * b + c with one rounding; scalar code here runs once per iteration, so exactness counts more than speed.
float fused(float a, float b, float c) {
    return std::fma(a, b, c);
}

}  // namespace

Matrix3 rotation_from_euler(float rx, float ry, float rz) {
    const float s1 = float(math::sin(rx)), c1 = float(math::cos(rx));
    const float s2 = float(math::sin(ry)), c2 = float(math::cos(ry));
    const float s3 = float(math::sin(rz)), c3 = float(math::cos(rz));
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
        const double factor = math::acos(cosine) / (2.0 * sine);
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
    const double kx = x / angle, ky = y / angle, kz = z / angle;
    return narrowed({c + c1 * kx * kx, c1 * kx * ky - s * kz, c1 * kx * kz + s * ky, c1 * kx * ky + s * kz,
                     c + c1 * ky * ky, c1 * ky * kz - s * kx, c1 * kx * kz - s * ky, c1 * ky * kz + s * kx,
                     c + c1 * kz * kz});
}

Vector3 compose_rotation(const Vector3& old_euler, const Vector3& w) {
    const Matrix3 r1 = rotation_from_euler(old_euler[0], old_euler[1], old_euler[2]);
    const Matrix3 r2 = narrowed(
        nearest_orthogonal({1.0, -double(w[2]), w[1], w[2], 1.0, -double(w[0]), -double(w[1]), w[0], 1.0}));
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
    const float determinant = fused(s.a, s.a, s.b * s.b);
    const float e = 1.0f / determinant;
    return {s.a * e, -s.b * e};
}

Similarity similarity_between(const float* source_x, const float* source_y, const float* destination_x,
                              const float* destination_y, int count) {
    const auto mean = [count](const float* v) {
        double total = 0.0;
        for (int i = 0; i < count; ++i) total += v[i];
        return float(total / count);
    };
    const float ax = mean(source_x), ay = mean(source_y), bx = mean(destination_x), by = mean(destination_y);
    double size_a = 0.0, size_b = 0.0;
    for (int i = 0; i < count; ++i) {
        const float px = source_x[i] - ax, py = source_y[i] - ay;
        const float qx = destination_x[i] - bx, qy = destination_y[i] - by;
        size_a += double(px) * px + double(py) * py;
        size_b += double(qx) * qx + double(qy) * qy;
    }
    const float sigma_a = float(std::sqrt(size_a / count)), sigma_b = float(std::sqrt(size_b / count));
    const float scale_a = float(1.0 / sigma_a), scale_b = float(1.0 / sigma_b);
    double cross = 0.0, dot = 0.0;
    for (int i = 0; i < count; ++i) {
        const double px = (source_x[i] - ax) * scale_a, py = (source_y[i] - ay) * scale_a;
        const double qx = (destination_x[i] - bx) * scale_b, qy = (destination_y[i] - by) * scale_b;
        cross += px * qy - py * qx;
        dot += px * qx + py * qy;
    }
    // The angle is atan2(cross, dot); its cosine and sine need no trigonometry.
    const double length = std::sqrt(cross * cross + dot * dot);
    const float cosine = float(length > 0.0 ? dot / length : 1.0);
    const float sine = float(length > 0.0 ? cross / length : 0.0);
    const float scale = float(sigma_b / sigma_a);
    return {scale * cosine, scale * sine};
}

}  // namespace openface
