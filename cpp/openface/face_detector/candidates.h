// What MTCNN does with boxes between its networks (face-detection.md, sections 2.5 to 2.8).
#pragma once

#include <array>
#include <vector>

#include "openface/shape/parameters.h"

namespace openface {

struct Candidate {
    Box box;
    float score = 0.0f;
    std::array<float, 4> offsets{};  // left, top, right, bottom, in box sizes
};

enum class Overlap { of_union, of_smaller };

struct SuppressionScratch {
    std::vector<Box> rounded;
    std::vector<int> waiting;
};

// Indices of the candidates that survive non-maximum suppression, best first (section 2.5).
void suppress(const std::vector<Candidate>& candidates, float limit, Overlap overlap,
              SuppressionScratch& scratch, std::vector<int>& kept);

// The box moved by its offsets; `extra` is added to width and height before (section 2.6).
Box corrected(const Candidate& candidate, float extra);

// The square around a box's centre with whole-numbered sides (section 2.6).
Box squared(const Box& box);

// From the detector's box to the extent of the 68 landmarks (section 2.8, step 4).
Box to_landmark_extent(const Box& box);

}  // namespace openface
