// Rotations: Euler angles, matrices, axis-angle vectors (landmark-fitting.md, section 3.1), and the
// similarity between two point sets (section 4.2).
//
// Matrices are row-major float[9]. Convention: R = Rx(rx) Ry(ry) Rz(rz), angles in radians.
#pragma once

#include <array>

#include "openface/shape/parameters.h"

namespace openface {

using Matrix3 = std::array<float, 9>;
using Vector3 = std::array<float, 3>;

// Sines and cosines in double, rounded to float; products in float.
Matrix3 rotation_from_euler(float rx, float ry, float rz);
// The same with sines and cosines in single precision, as the reference's gaze has it.
Matrix3 rotation_from_euler_in_float(float rx, float ry, float rz);
// Through a unit quaternion. Near 180 degrees the quaternion's real part vanishes and the angles are NaN.
Vector3 euler_from_rotation(const Matrix3& rotation);

// Rodrigues' formula, both ways; a rotation by less than about 1e-5 rad becomes exactly zero, as in the
// reference.
Vector3 axis_angle_from_rotation(const Matrix3& rotation);
Matrix3 rotation_from_axis_angle(const Vector3& axis_angle);

// The Euler angles of rotation_from_euler(old) * nearest_rotation(I + [increment]x), passed through
// axis-angle form as the reference does (section 3.5). NaN angles become 0.
Vector3 compose_rotation(const Vector3& old_euler, const Vector3& increment);

// A scaled rotation [[xx, xy], [yx, yy]] and its inverse. xx and yy, xy and -yx agree to the last bit or
// two; all four are kept because the reference computes each.
struct Similarity {
    float xx = 1.0f;
    float xy = 0.0f;
    float yx = 0.0f;
    float yy = 1.0f;
};
Similarity inverse(const Similarity& similarity);

// Least squares rotation with the ratio of sizes as scale, from the n points of `source` to those of
// `destination`.
Similarity similarity_between(const float* source_x, const float* source_y, const float* destination_x,
                              const float* destination_y, int count);

}  // namespace openface
