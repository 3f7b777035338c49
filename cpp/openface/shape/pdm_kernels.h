// The hot loops of the point distribution model; what they compute is said in pdm.h, their memory layout
// here.
#pragma once

#include "openface/core/dispatch.h"

namespace openface {

// xyz = mean + sum of modes weighted by local. mean: 3 x stride, modes: m x 3 x stride.
OPENFACE_KERNEL(pdm_shape3d, void(const float* mean, const float* modes, const float* local, int mode_count,
                                  int stride, float* xyz));
// xy from xyz by rotation (row-major 3 x 3), scale and translation.
OPENFACE_KERNEL(pdm_project, void(const float* xyz, int stride, const float* rotation, float scale, float tx,
                                  float ty, float* xy));
// gram: six m x m symmetric matrices (see WeightedModes), rows of mode_stride floats.
OPENFACE_KERNEL(pdm_gram, void(const float* modes, const float* weights, int mode_count, int stride,
                               int mode_stride, float* gram));
// Hessian (lower triangle and diagonal valid; column j at hessian + j * height) and gradient, without
// regularisation. columns: scratch of 24 * stride floats.
OPENFACE_KERNEL(pdm_normal_equations,
                void(const float* xyz, const float* modes, const float* weights, const float* gram,
                     const float* residual, const float* rotation, float scale, int mode_count, int stride,
                     int mode_stride, bool rigid, int height, float* columns, float* hessian,
                     float* gradient));
// Cholesky factorisation (column j at matrix + j * height, lower triangle) and solution into x, which holds
// the right-hand side and, like the columns, has room for whole vectors. scratch: 2 * size * height doubles.
// Returns false when a pivot is below 2^-23.
OPENFACE_KERNEL(solve_cholesky, bool(const float* matrix, int size, int height, double* scratch, float* x));
// Square root of the sum of squares, summed in double; count is a multiple of 8.
OPENFACE_KERNEL(euclidean_norm, float(const float* v, int count));

}  // namespace openface
