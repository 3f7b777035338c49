// What a face looks like, in 200 numbers that are near each other for one person and far apart for two: a
// frame and 68 landmarks -> histograms of gradient directions and colour ratios of the aligned face.
//
// Compact on purpose, at about a hundredth of the cost of fitting a face: the aligned face is sampled at
// 28 x 28 cells (Dalal and Triggs 2005 for the histograms), and nothing of the action units' machinery is
// needed.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "openface/core/image.h"
#include "openface/shape/pdm.h"

namespace openface {

inline constexpr int appearance_length = 200;
using Appearance = std::array<float, appearance_length>;

// Euclidean distance: 0 for the same picture, typically below 0.3 for one person and above 0.4 for two.
float distance(const Appearance& a, const Appearance& b);

class AppearanceDescriber {
  public:
    // Throws Error(input) for models without the 68 landmarks.
    explicit AppearanceDescriber(const Pdm& pdm);

    // `landmarks`: x of all 68, then y. False if they determine no alignment.
    bool describe(const ViewU8& frame, const float* landmarks, const GlobalParameters& global,
                  Appearance& appearance);

  private:
    void sample(const ViewU8& frame, const std::array<double, 6>& map);
    void describe_gradients(float* out);
    void describe_colours(float* out) const;

    std::vector<float> mean_shape_;
    std::vector<std::uint8_t> pixels_;  // B, G, R of the aligned face
    std::vector<float> grey_;           // its cells
};

}  // namespace openface
