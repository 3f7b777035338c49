// The inverse of a symmetric positive definite matrix, in the two orders of operations in which the reference
// inverts association matrices (landmark-fitting.md, section 9.3, items 9 and 13). Both factorise
// A = L transposed(L) and solve for the columns of the identity.
//
// matrix: n columns, `stride` floats apart; their elements below row n are zero and n <= stride, a multiple
// of 16. Only the lower triangle counts; the factor takes the place of the matrix. inverse: n rows, `stride`
// floats apart: element (i, c) is element i of the solution for unit vector c. work: n floats. False if the
// matrix is not positive definite; then the inverse is unspecified.
#pragma once

#include "openface/core/dispatch.h"

namespace openface {

// Sums in double, everything stored as float (item 13). n < 100.
OPENFACE_KERNEL(invert_with_double_sums, bool(float* matrix, int n, int stride, float* work, float* inverse));

// Blocked, with fused multiply-adds in float, as LAPACK's sposv does it in OpenBLAS 0.3.21 on Haswell and Zen
// (item 9). n is the square of an odd number. The bits are those of OpenBLAS up to n = 320, where it begins
// to cut sums in two.
OPENFACE_KERNEL(invert_in_blocks, bool(float* matrix, int n, int stride, float* work, float* inverse));

}  // namespace openface
