// The association of neighbouring window positions in a CCNF response (landmark-fitting.md, section 4.4): a
// matrix for every expert and window size, the inverse of 2 (sum of alphas * I + sum of beta_j E_j).
#pragma once

#include <span>
#include <vector>

#include "openface/core/aligned.h"
#include "openface/core/dispatch.h"

namespace openface {

// The edge matrices of one window size and, for each of them, the interval that holds its eigenvalues.
struct EdgeComponents {
    struct Bounds {
        double lowest = 0.0, highest = 0.0;
    };

    int window = 0;  // odd
    std::vector<Matrix<float>> matrices;
    std::vector<Bounds> bounds;

    int positions() const { return window * window; }
    // Floats of an association matrix.
    std::size_t association_size() const {
        return std::size_t(positions()) * std::size_t(padded(positions(), 16));
    }
    void add(Matrix<float> matrix);
};

// What the inversion works in.
struct AssociationScratch {
    AlignedVector<float> matrix, inverse, row;
};

// Writes one expert's association matrix, column by column, each padded with zeros to a whole number of
// sixteens. False, with a matrix of zeros, if its inverse is not positive definite.
bool make_association(const EdgeComponents& edges, float alpha_sum, std::span<const float> betas,
                      AssociationScratch& scratch, float* association);

// Whether the inverse is positive definite by so much that rounding does not matter, going by the bounds
// alone.
bool surely_positive(const EdgeComponents& edges, float alpha_sum, std::span<const float> betas);

// The factor that takes the matrix's place for window sizes without edge matrices, where it is a multiple of
// the identity.
float association_without_edges(float alpha_sum, int window);

// sum += beta * edges, for n x n edges whose rows follow each other and a sum whose rows are `stride` apart.
OPENFACE_KERNEL(add_edges, void(const float* edges, float beta, int n, int stride, float* sum));
// The transpose of an n x n matrix; rows of both are `stride` apart, a multiple of 8, and padded with zeros
// in the result.
OPENFACE_KERNEL(transpose_padded, void(const float* matrix, int n, int stride, float* transposed));
// response = association * values; padded(positions, 16) values go in and come out.
OPENFACE_KERNEL(associate,
                void(const float* association, int positions, const float* values, float* response));

}  // namespace openface
