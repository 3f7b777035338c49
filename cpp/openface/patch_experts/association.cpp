#include "openface/patch_experts/association.h"

#include <algorithm>
#include <cmath>

#include "openface/patch_experts/spd_inverse.h"

namespace openface {

namespace {

// From this size on the reference inverts with LAPACK.
constexpr int least_blocked_size = 100;

bool invert(float* matrix, int n, int stride, float* work, float* inverse) {
    return n < least_blocked_size ? invert_with_double_sums(matrix, n, stride, work, inverse)
                                  : invert_in_blocks(matrix, n, stride, work, inverse);
}

}  // namespace

void EdgeComponents::add(Matrix<float> matrix) {
    // Gershgorin's circles.
    Bounds interval;
    for (int i = 0; i < matrix.rows; ++i) {
        double radius = 0.0;
        for (int j = 0; j < matrix.cols; ++j)
            if (j != i) radius += std::fabs(double(matrix(i, j)));
        const double centre = matrix(i, i);
        interval.lowest = i == 0 ? centre - radius : std::min(interval.lowest, centre - radius);
        interval.highest = i == 0 ? centre + radius : std::max(interval.highest, centre + radius);
    }
    matrices.push_back(std::move(matrix));
    bounds.push_back(interval);
}

bool surely_positive(const EdgeComponents& edges, float alpha_sum, std::span<const float> betas) {
    double lowest = alpha_sum, size = alpha_sum;
    for (std::size_t j = 0; j < edges.bounds.size(); ++j) {
        const auto& [low, high] = edges.bounds[j];
        lowest += std::min(betas[j] * low, betas[j] * high);
        size += std::max(std::fabs(betas[j] * low), std::fabs(betas[j] * high));
    }
    // Rounding in the factorisation comes to less than 1e-7 of the size for each position.
    return lowest > 1e-6 && lowest > 1e-7 * edges.positions() * size;
}

bool make_association(const EdgeComponents& edges, float alpha_sum, std::span<const float> betas,
                      AssociationScratch& scratch, float* association) {
    const int n = edges.positions(), stride = padded(n, 16);
    const std::size_t size = edges.association_size();
    scratch.matrix.assign(size, 0.0f);
    scratch.inverse.resize(size);
    scratch.row.resize(std::size_t(stride));

    for (std::size_t j = 0; j < edges.matrices.size(); ++j)
        add_edges(edges.matrices[j].data.data(), betas[j], n, stride, scratch.matrix.data());
    for (int i = 0; i < n; ++i)
        scratch.matrix[std::size_t(i) * std::size_t(stride) + std::size_t(i)] += alpha_sum;
    for (float& value : scratch.matrix) value *= 2.0f;
    if (!invert(scratch.matrix.data(), n, stride, scratch.row.data(), scratch.inverse.data())) {
        std::fill(association, association + size, 0.0f);
        return false;
    }
    transpose_padded(scratch.inverse.data(), n, stride, association);
    return true;
}

float association_without_edges(float alpha_sum, int window) {
    const float diagonal = 2.0f * alpha_sum;
    if (window * window < least_blocked_size) {
        const float reciprocal = float(1.0 / std::sqrt(double(diagonal)));
        return float(double(reciprocal) * double(reciprocal));
    }
    const float reciprocal = 1.0f / std::sqrt(diagonal);
    return reciprocal * reciprocal;
}

}  // namespace openface
