// A network on interleaved maps (row, column, channel): MTCNN's three (face-detection.md, section 2.3).
//
// The first layers turn a map into a map; from the first fully connected layer that flattens on, vectors into
// vectors. The two parts are called apart, so that the vectors of many candidates go through the large fully
// connected layers together and their weights are read once.
#pragma once

#include <vector>

#include "openface/nn/convolution_layer.h"
#include "openface/nn/dot_layer.h"
#include "openface/nn/layers.h"

namespace openface {

struct InterleavedMap {
    const float* data = nullptr;
    int height = 0;
    int width = 0;
    int channels = 0;
};

// Buffers that a thread keeps between calls.
struct NetworkScratch {
    AlignedVector<float> buffers[2];
    std::vector<std::ptrdiff_t> term_offsets;
};

class InterleavedNetwork {
  public:
    InterleavedNetwork() = default;
    // For inputs of `side` x `side` pixels; if `any_size`, larger ones too (then no layer may flatten).
    // order[c] is the input map of the file that the interleaved channel c holds. Throws Error(model) through
    // the reader.
    InterleavedNetwork(const std::vector<Layer>& layers, const std::vector<int>& order, int side,
                       bool any_size, const BinaryReader& reader);

    // The map after the layers before flattening; it lies in the scratch. Sides must not be smaller than
    // `side`.
    InterleavedMap run_maps(InterleavedMap input, NetworkScratch& scratch) const;
    // The same, flattened to `out`: vector_inputs() floats.
    void run_maps(InterleavedMap input, NetworkScratch& scratch, float* out) const;
    // The outputs of `count` vectors of vector_inputs() floats, one after another and dot_slack floats behind
    // them; they lie in the scratch.
    const float* run_vectors(const float* vectors, int count, NetworkScratch& scratch) const;

    int vector_inputs() const { return vector_inputs_; }
    int outputs() const { return outputs_; }

  private:
    friend class InterleavedBuilder;
    struct Step {
        enum class Kind { convolution, pooling, fully_connected } kind = Kind::pooling;
        bool logistic = false;
        int kernel_width = 1;
        int kernel_height = 1;
        int stride_x = 1;
        int stride_y = 1;
        std::vector<int> channel_of_map;  // where the convolution's input maps are
        ConvolutionLayer convolution;
        DotLayer dot;

        InterleavedMap shape_after(const InterleavedMap& map) const;
        void run(const InterleavedMap& in, const InterleavedMap& out, NetworkScratch& scratch,
                 float* target) const;
        void run_vectors(const float* vectors, int count, float* target) const;
    };

    std::vector<Step> map_steps_;
    std::vector<Step> vector_steps_;
    int vector_inputs_ = 0;
    int outputs_ = 0;
};

}  // namespace openface
