// What a person looks like, in 236 numbers that are near each other for one person and far apart for two: a
// frame and 68 landmarks -> histograms of gradient directions and colour ratios of the aligned face, and the
// colours of hair and clothes.
//
// Compact on purpose, at about a hundredth of the cost of fitting a face: the aligned face is sampled at
// 28 x 28 cells (Dalal and Triggs 2005 for the histograms), and nothing of the action units' machinery is
// needed. Hair and clothes are what names people in films besides faces (Everingham et al. 2006): they are
// seen where the face is blurred or turned away, and where the landmarks' details are wrong.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "openface/core/image.h"
#include "openface/shape/pdm.h"

namespace openface {

struct Appearance {
    static constexpr int face_length = 200;
    static constexpr int clothes_cells = 8;
    static constexpr int hair_cells = 4;

    // Two colour ratios and the brightness, all relative to the face's; outside the frame there is none.
    struct Cell {
        std::array<float, 3> colour{};
        bool seen = false;
    };
    std::array<float, face_length> face{};
    std::array<Cell, clothes_cells> clothes{};
    std::array<Cell, hair_cells> hair{};
};

// Euclidean distance of the faces alone: 0 for the same picture, typically below 0.3 for one person and above
// 0.4 for two.
float face_distance(const Appearance& a, const Appearance& b);

// The sum over face, clothes and hair, each bounded so that one that is covered, blurred or out of the frame
// doesn't decide alone: 0 for the same picture (0.255 where neither hair nor clothes are in the frame),
// typically below 0.5 for one person and above 0.7 for two, at most 1.325.
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
    float face_brightness() const;

    std::vector<float> mean_shape_;
    std::vector<std::uint8_t> pixels_;  // B, G, R of the aligned face
    std::vector<float> grey_;           // its cells
};

}  // namespace openface
