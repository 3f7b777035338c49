// Probability of the second of two classes with scores o0 and o1, 1 / (1 + exp(o0 - o1)) (face-detection.md,
// section 2.3), with the roundings of the reference: it takes PNet's exponentials from OpenCV 4.6 and those
// of the two other networks from the C library.
#pragma once

namespace openface {

float proposal_probability(float o0, float o1);  // PNet
float face_probability(float o0, float o1);      // RNet, ONet

}  // namespace openface
