#include "openface/gaze_analyser/gaze.h"

#include <cmath>

#include "openface/core/math.h"
#include "openface/shape/rotation.h"

namespace openface {

namespace {

constexpr int eye_points = 28, face_points = 68, iris_points = 8;
constexpr float eyeball_radius = 12.0f;                  // mm
constexpr Vector3 eyeball_offset = {0.0f, -3.5f, 7.0f};  // from between the eye corners, head coordinates, mm

// The quadratic below loses five digits, so a last bit counts; this is the order that gives the golden
// vectors.
float dot(const Vector3& a, const Vector3& b) {
    return std::fma(a[2], b[2], std::fma(a[0], b[0], a[1] * b[1]));
}

Vector3 unit(const Vector3& v) {
    const double x = v[0], y = v[1], z = v[2];
    const double length = std::sqrt(x * x + y * y + z * z);
    return {float(x / length), float(y / length), float(z / length)};
}

}  // namespace

Vector3 estimate_gaze(const float* eye_3d, const float* face_3d, const std::array<float, 6>& pose, int eye) {
    Vector3 pupil{}, centre{};
    const Matrix3 r = rotation_from_euler_in_float(pose[3], pose[4], pose[5]);
    const int corner = 36 + 6 * eye;
    for (std::size_t axis = 0; axis < 3; ++axis) {
        double total = 0.0;
        for (int i = 0; i < iris_points; ++i) total += eye_3d[axis * eye_points + std::size_t(i)];
        // GCC 12 at -O3 would hand the unrounded double on to unit() below; volatile makes it round.
        volatile float rounded = float(total / iris_points);
        pupil[axis] = rounded;
        const float* face = face_3d + axis * face_points;
        double offset = 0.0;
        for (std::size_t i = 0; i < 3; ++i) offset += double(r[axis * 3 + i]) * eyeball_offset[i];
        centre[axis] = (face[corner] + face[corner + 3]) / 2.0f + float(offset);
    }
    // Where the camera's ray through the pupil enters the eyeball.
    const Vector3 ray = unit(pupil);
    const float a = dot(ray, ray), b = -2.0f * dot(ray, centre),
                c = dot(centre, centre) - eyeball_radius * eyeball_radius;
    const float product = 4.0f * a * c;
    const float discriminant = float(double(b) * b - double(product));
    Vector3 entry = {0.0f, 0.0f, -1.0f};
    if (discriminant >= 0.0f) {
        const float t = float((-double(b) - std::sqrt(double(discriminant))) / 2.0 * a);
        entry = {t * ray[0], t * ray[1], t * ray[2]};
    }
    return unit({entry[0] - centre[0], entry[1] - centre[1], entry[2] - centre[2]});
}

std::array<float, 2> gaze_angle(const Vector3& g0, const Vector3& g1) {
    const Vector3 mean = {(g0[0] + g1[0]) / 2.0f, (g0[1] + g1[1]) / 2.0f, (g0[2] + g1[2]) / 2.0f};
    return {float(math::atan2(mean[0], -mean[2])), float(math::atan2(mean[1], -mean[2]))};
}

}  // namespace openface
