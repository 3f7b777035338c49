// 3D landmarks in camera space and the pose of the head (tracking.md, sections 6 and 7).
//
// Camera coordinates: millimetres, x to the right, y down, z away from the camera.
#pragma once

#include <array>
#include <vector>

#include "openface/gaze_analyser/camera.h"
#include "openface/landmark_detector/shape_fit.h"

namespace openface {

// 3n values (X of all landmarks, then Y, then Z) from a fitted shape: weak perspective depth, back-projected
// landmarks.
void landmarks_3d(const Pdm& pdm, const ShapeState& state, const Camera& camera, PdmScratch& scratch,
                  float* xyz);

// Translation in mm, then Euler angles in radians: the pose that projects the model's 3D points onto the
// landmarks with the least squared error (Levenberg-Marquardt, in double).
std::array<float, 6> head_pose(const Pdm& pdm, const ShapeState& state, const Camera& camera,
                               PdmScratch& scratch);

}  // namespace openface
