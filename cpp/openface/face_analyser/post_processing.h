// What happens to action units after the last frame of a video: neutral levels are subtracted, intensities
// smoothed over three frames, presences voted over seven (action-units.md, sections 10.2 and 10.3).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace openface {

// One column of a frames x units matrix whose rows are `stride` values apart.
struct Column {
    double* first;
    std::size_t frames;
    std::size_t stride;

    double& operator[](std::size_t frame) const { return first[frame * stride]; }
};

// The value that counts as neutral: element number trunc(m * cutoff) of the m values of successful frames in
// ascending order; 0 if there is none. `scratch` is working memory.
double neutral_level(Column raw, std::span<const std::uint8_t> success, double cutoff,
                     std::vector<double>& scratch);
// Subtracts the neutral level, limits to 0 ... 5 (failed frames are 0), averages over three frames except at
// both ends.
void finish_intensity(Column values, std::span<const std::uint8_t> success, double neutral,
                      std::vector<double>& scratch);
// 1 where at least four of the seven labels around a frame are set; three frames at either end stay as they
// are.
void finish_presence(Column labels, std::vector<double>& scratch);

}  // namespace openface
