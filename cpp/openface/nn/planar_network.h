// A network on planar maps, from one map of fixed size to a vector of scores: the validator's (validation.md,
// section 7).
#pragma once

#include <vector>

#include "openface/nn/dot_layer.h"
#include "openface/nn/layers.h"
#include "openface/nn/planar_layers.h"

namespace openface {

// Buffers that a thread keeps between calls.
struct PlanarScratch {
    AlignedVector<float> buffers[2];
};

class PlanarNetwork {
  public:
    PlanarNetwork() = default;
    // For one input map of height x width. Throws Error(model) through the reader.
    PlanarNetwork(const std::vector<Layer>& layers, int height, int width, const BinaryReader& reader);

    // `map` has rows padded(width) floats apart and planar_slack floats behind its end. The scores lie in the
    // scratch.
    const float* run(float* map, PlanarScratch& scratch) const;
    int outputs() const { return outputs_; }

  private:
    friend class PlanarBuilder;
    struct Shape {
        int maps = 1;
        int height = 1;
        int width = 1;

        int row_stride() const { return padded(width); }
        std::size_t plane_stride() const { return std::size_t(row_stride()) * std::size_t(height); }
        std::size_t floats() const { return std::size_t(maps) * plane_stride(); }
        Planes planes(float* data) const { return {data, row_stride(), std::ptrdiff_t(plane_stride())}; }
    };
    struct Step {
        enum class Kind { convolution, pooling, flattening, fully_connected } kind = Kind::pooling;
        Shape in;
        Shape out;
        bool relu = false;
        bool logistic = false;
        int kernel_height = 1;
        int kernel_width = 1;
        AlignedVector<float> weights;  // convolution
        AlignedVector<float> bias;
        DotLayer dot;  // fully connected

        void run(float* from, float* to) const;
    };

    std::vector<Step> steps_;
    std::size_t largest_ = 0;  // floats of the largest set of maps
    int outputs_ = 0;
};

}  // namespace openface
