// Contrast normalisation of the patches of a window (landmark-fitting.md, section 4.4): mean and reciprocal
// norm of every support x support patch of an area of interest.
//
// The order of the float operations is the reference's (section 9.3, item 7): the sum runs row by row, the
// sum of squares column by column with fused multiply-adds only for what is left after a multiple of eight.
// Lanes are window positions, so the order does not depend on the vector width.
#pragma once

#include "openface/core/dispatch.h"

namespace openface {

// How patches lie in the area: the pixel at (row r, column c) of a patch is r * row_step + c * column_step
// floats behind its first one. Window positions are visited in lines: position p of line l begins at l *
// line_step + p. So an area stored row by row gives row-wise lines, a transposed one column-wise lines.
struct PatchLayout {
    int row_step;
    int column_step;
    int line_step;
    int support;
    int window;
};

inline constexpr int patch_line_padding = 16;
// Floats between the results of two lines.
constexpr int patch_line_stride(int window) {
    return (window + patch_line_padding - 1) / patch_line_padding * patch_line_padding;
}
// Several lines are worked on together, in whole vectors: this many floats behind the area must be readable.
constexpr int patch_slack(int line_step) {
    return 3 * line_step + 2 * patch_line_padding;
}

// means[l * patch_line_stride(window) + p], and the same for the reciprocals of the Euclidean norms (norm 0
// counts as 1) of the patches after subtracting the mean.
OPENFACE_KERNEL(patch_statistics,
                void(const float* area, const PatchLayout& layout, float* means, float* reciprocal_norms));

}  // namespace openface
