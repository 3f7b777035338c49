// The two ends of a CEN evaluation: from an area of interest to the networks' inputs, and from their outputs
// to a response map (landmark-fitting.md, section 4.6).
#pragma once

#include <cstddef>

#include "openface/core/dispatch.h"
#include "openface/patch_experts/patch_normalisation.h"

namespace openface {

inline constexpr int cen_support = 11;
inline constexpr int cen_inputs = 1 + cen_support * cen_support;
// Inputs are written as whole vectors; 9 cache lines rather than 8 spread them over the cache.
inline constexpr int cen_input_stride = 144;

// Positions are numbered column by column, k = x * window + y; the network sees every `step`-th one from step
// - 1 on, so step 1 means all of them and step 2 the checkerboard without corners.
constexpr int cen_position_count(int window, int step) {
    return window * window / step;
}

// Area (size x size, rows `stride` apart) -> its transpose, columns `stride` apart, in reverse order if
// mirrored.
void transpose_area(const float* area, int size, int stride, bool mirrored, float* transposed);

// Writes 1 and the contrast-normalised patch, column by column, for each position; cen_input_stride floats
// apart. The transposed area and the statistics are those of patch_statistics.
OPENFACE_KERNEL(cen_inputs_of_area, void(const float* transposed, int stride, int window, int step,
                                         const float* means, const float* reciprocal_norms, float* inputs));

// Network outputs (`out_stride` floats apart) -> response map, rows `map_stride` apart and padded with zeros.
// Positions that were left out get the mean of their neighbours. A mirrored map is flipped left-right.
OPENFACE_KERNEL(cen_map_of_outputs, void(const float* outputs, std::ptrdiff_t out_stride, int window,
                                         int step, bool mirrored, float* map, int map_stride));

}  // namespace openface
