// The parameters of a shape: where the face is and which way it is turned (global), and its form (local, per
// model).
#pragma once

#include <array>

namespace openface {

// Weak perspective: scale in image pixels per model millimetre, Euler angles in radians (R = Rx Ry Rz),
// translation in image pixels.
struct GlobalParameters {
    float scale = 1.0f;
    float rx = 0.0f;
    float ry = 0.0f;
    float rz = 0.0f;
    float tx = 0.0f;
    float ty = 0.0f;
};

// A box in image pixels.
struct Box {
    float x = 0.0f;
    float y = 0.0f;
    float width = 0.0f;
    float height = 0.0f;
};

}  // namespace openface
