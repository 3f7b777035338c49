// Where the two eyes look: from the fitted 28-point eye models and the head pose (tracking.md, section 8;
// Wood et al. 2015).
#pragma once

#include <array>

#include "openface/gaze_analyser/head_pose.h"

namespace openface {

// Unit vector from the eyeball towards what is looked at, camera coordinates (z is negative towards the
// camera). eye_3d: 3 x 28 points of the eye; face_3d: 3 x 68 of the face; eye: 0 for landmarks 36 to 41, 1
// for 42 to 47.
Vector3 estimate_gaze(const float* eye_3d, const float* face_3d, const std::array<float, 6>& pose, int eye);

// Horizontal (to the right of the image) and vertical (down) angle of the mean gaze, radians.
std::array<float, 2> gaze_angle(const Vector3& gaze_0, const Vector3& gaze_1);

}  // namespace openface
