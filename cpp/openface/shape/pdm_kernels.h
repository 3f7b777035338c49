// The hot loops of the point distribution model; what they compute is said in pdm.h, their memory layout
// here. All follow the reference's order of operations (landmark-fitting.md, section 9.3).
#pragma once

#include "openface/core/dispatch.h"

namespace openface {

// xyz = mean + sum of modes weighted by local. mean: 3 x stride, modes: m x 3 x stride.
OPENFACE_KERNEL(pdm_shape3d, void(const float* mean, const float* modes, const float* local, int mode_count,
                                  int stride, float* xyz));
// The same with the sum in double, which the reference uses for models of few points.
OPENFACE_KERNEL(pdm_shape3d_in_double, void(const float* mean, const float* modes, const float* local,
                                            int mode_count, int stride, float* xyz));
// xy from xyz by rotation (row-major 3 x 3), scale and translation.
OPENFACE_KERNEL(pdm_project, void(const float* xyz, int stride, const float* rotation, float scale, float tx,
                                  float ty, float* xy));
// The same, rotated and scaled in double.
OPENFACE_KERNEL(pdm_project_in_double, void(const float* xyz, int stride, const float* rotation, float scale,
                                            float tx, float ty, float* xy));

// The Jacobian of section 3.4: a row per coordinate (x of all n landmarks, then y), `row_stride` floats
// apart: scale, three rotations, two translations and, unless `rigid`, the modes. Rows of landmarks with
// weight 0 are 0. modes_by_landmark: for each axis and landmark, `stride` landmarks per axis, a row of
// `mode_stride` floats. Eight floats behind the last row are written.
struct JacobianInput {
    const float* xyz;
    const float* modes_by_landmark;
    const float* weights;
    const float* rotation;
    float scale;
    int landmark_count;
    int stride;
    int mode_stride;
    bool rigid;
};
OPENFACE_KERNEL(pdm_jacobian, void(const JacobianInput& input, int row_stride, float* jacobian));
// Rows times the weights of their landmarks.
OPENFACE_KERNEL(pdm_weight_jacobian, void(const float* jacobian, const float* weights, int landmark_count,
                                          int row_stride, float* weighted));
// hessian = weighted^T jacobian, of which the lower triangle and the diagonal are valid; rows are
// `row_stride` floats apart, as those of the two factors, of which there are `row_count`.
OPENFACE_KERNEL(pdm_hessian, void(const float* weighted, const float* jacobian, int row_count, int size,
                                  int row_stride, float* hessian));
// gradient = weighted^T residual in double; residual: x of the landmarks, then y, `stride` floats apart.
OPENFACE_KERNEL(pdm_gradient, void(const float* weighted, const float* residual, int landmark_count,
                                   int stride, int size, int row_stride, float* gradient));

// Cholesky factorisation of the matrix whose lower triangle is given (rows `stride` floats apart, a multiple
// of 8) and solution into x, which holds the right-hand side and has room for whole vectors. scratch: 2 *
// stride^2 floats. Returns false when a pivot is below 2^-23.
OPENFACE_KERNEL(solve_cholesky, bool(const float* matrix, int size, int stride, float* scratch, float* x));
// Square root of the sum of squares, summed in double; count is a multiple of 8.
OPENFACE_KERNEL(euclidean_norm, float(const float* v, int count));

}  // namespace openface
