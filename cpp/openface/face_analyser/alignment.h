// Similarity alignment of a face: a frame and 68 landmarks become a square image in which the face is
// upright, of a fixed size and, if wanted, cut out along its outline (action-units.md, section 4).
//
// Float and double steps are those of sections 4.2 to 4.5, one by one: a last bit in the warp moves pixels
// across a 1/32 px step, and single grey levels in flat areas change action units.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "openface/core/aligned.h"
#include "openface/core/dispatch.h"
#include "openface/core/image.h"

namespace openface {

inline constexpr int face_landmark_count = 68;

// The 2x3 map from frame to aligned image: x' = m[0] x + m[1] y + m[2], y' = m[3] x + m[4] y + m[5].
using AlignmentWarp = std::array<float, 6>;

struct AlignmentOptions {
    int size = 112;      // width and height of the result, px
    double scale = 0.7;  // pixels per model millimetre
    bool mask = true;    // black outside the face outline
    bool grey = false;   // one channel instead of B, G, R
};

inline constexpr int largest_aligned_size = 4096;

// The warp that carries the rigid landmarks as well as a similarity can onto the mean shape times `scale`,
// and the model's origin (tx, ty) to the middle of the image. `landmarks` and `mean_shape`: x of all 68, then
// y of all 68 (z of the mean shape may follow). Throws Error(input) if the landmarks determine no similarity
// (all at one point).
AlignmentWarp alignment_warp(const float* landmarks, const float* mean_shape, float tx, float ty, int size,
                             double scale);

// The landmarks carried by the warp, jaw ends and brows moved up: the corners of the mask's triangles
// (section 4.5).
void mask_points(const float* landmarks, const AlignmentWarp& warp, double scale, float* points);

struct Triangle {
    int a, b, c;
};

// Three colour planes and a mask. Rows are `stride` elements apart, a whole number of vectors plus slack, so
// kernels may write whole vectors.
struct AlignedPlanes {
    int size = 0;
    int stride = 0;
    AlignedVector<std::uint8_t> blue, green, red;
    AlignedVector<std::int32_t> mask;  // all bits set where the face is, else 0

    void resize(int size_);
};

// Sets the bits of the mask's pixels inside a triangle, borders included (the mask must be cleared before the
// first).
OPENFACE_KERNEL(rasterise_triangle, void(const float* corner_a, const float* corner_b, const float* corner_c,
                                         int size, std::int32_t* mask, int stride));

// The warp's inverse in double, as fixed-point sampling needs it: source x = i[0] x + i[1] y + i[2], y
// likewise.
struct SamplingMap {
    double i[6];
};
SamplingMap sampling_map(const AlignmentWarp& warp);

// Samples one row of the aligned image where its mask is set; the rest becomes 0. `columns_x`, `columns_y`:
// the parts of the fixed-point source position that depend on the column; `row_x`, `row_y`: those that depend
// on the row. One source channel is copied to all three planes.
OPENFACE_KERNEL(sample_aligned_row,
                void(const ViewU8& frame, const std::int32_t* columns_x, const std::int32_t* columns_y,
                     std::int32_t row_x, std::int32_t row_y, int size, const std::int32_t* mask,
                     std::uint8_t* blue, std::uint8_t* green, std::uint8_t* red));

// Working memory of one aligner; nothing is allocated once it has seen its largest size.
struct AlignmentScratch {
    AlignedVector<std::int32_t> columns_x, columns_y;
};

// Fills planes.mask from the triangles over the points (x of all, then y of all).
void rasterise_mask(const std::vector<Triangle>& triangles, const float* points, AlignedPlanes& planes);
// Warps the frame (1, 3 or 4 channels) into the planes, only where planes.mask is set.
void warp_into_planes(const ViewU8& frame, const AlignmentWarp& warp, AlignedPlanes& planes,
                      AlignmentScratch& scratch);
// B, G, R pixels, or their grey values, of the planes.
void interleave(const AlignedPlanes& planes, bool grey, ImageU8& image);

}  // namespace openface
