// FHOG: histograms of oriented gradients of the aligned face, 31 values per cell of 8 x 8 px (Felzenszwalb,
// Girshick, McAllester and Ramanan 2010; action-units.md, section 5).
//
// Per cell: 18 contrast sensitive orientations, 9 insensitive ones, 4 texture energies, each normalised by
// the four blocks of 2 x 2 cells around it. The outer ring of the 14 x 14 cells is dropped.
//
// All sums run in the reference's order, so that the values are its to the last bit.
#pragma once

#include <cstdint>

#include "openface/core/aligned.h"
#include "openface/core/dispatch.h"

namespace openface::fhog {

inline constexpr int image_size = 112;
inline constexpr int cell_size = 8;
inline constexpr int cells = image_size / cell_size;  // 14
inline constexpr int rows = cells - 2;                // 12, and as many columns
inline constexpr int channels = 31;
inline constexpr int length = rows * rows * channels;  // 4464
inline constexpr int padded_length = length + 8;       // kernels write whole vectors

// A histogram of one cell: 18 orientations, then zeros to a whole number of vectors.
inline constexpr int bins = 24;

// Histograms have a ring of cells around the image that takes the votes of its border.
inline constexpr int ringed_cells = cells + 2;

struct Scratch {
    AlignedVector<float> histograms = AlignedVector<float>(std::size_t(ringed_cells) * ringed_cells * bins);
    AlignedVector<float> norms = AlignedVector<float>(std::size_t(cells) * cells);
};

// Orientation votes of all pixels, shared between the four nearest cells. Three colour planes of 112 x 112
// with rows `stride` bytes apart and eight readable bytes behind every row.
OPENFACE_KERNEL(accumulate, void(const std::uint8_t* blue, const std::uint8_t* green, const std::uint8_t* red,
                                 int stride, float* histograms));
// Normalised values of the inner cells: row, column, channel; padded_length floats are written.
OPENFACE_KERNEL(normalise, void(const float* histograms, float* norms, float* descriptor));

// The descriptor (padded_length floats, the first `length` of them meaningful) of an aligned face.
inline void describe(const std::uint8_t* blue, const std::uint8_t* green, const std::uint8_t* red, int stride,
                     Scratch& scratch, float* descriptor) {
    accumulate(blue, green, red, stride, scratch.histograms.data());
    normalise(scratch.histograms.data(), scratch.norms.data(), descriptor);
}

}  // namespace openface::fhog
