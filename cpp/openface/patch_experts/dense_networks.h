// Many small fully connected networks whose weights share one block of memory: those of all CEN experts of a
// scale.
#pragma once

#include <vector>

#include "openface/core/aligned.h"
#include "openface/patch_experts/dense_layer.h"

namespace openface {

class DenseNetworks {
  public:
    // Room for this many weights and biases; more can't be added.
    void reserve(std::size_t values);

    // Starts a network without layers; returns its index.
    int add_network();
    // Appends `count` values to the block and returns where they are, to be filled by the caller.
    std::size_t add_values(std::size_t count);
    float* values(std::size_t position) { return values_.data() + position; }
    // Appends a layer to the newest network. The values at `bias` and `weights` (row-major outputs x inputs)
    // have been added before; the weights are packed in place.
    void add_layer(int inputs, int outputs, Activation activation, std::size_t bias, std::size_t weights);

    int network_count() const { return int(networks_.size()); }
    bool empty(int network) const { return networks_[std::size_t(network)].layer_count == 0; }

    // The floats of scratch that `count` positions need.
    std::size_t scratch_size(int count) const;
    // Evaluates a network on `count` inputs, `in_stride` floats apart. Returns the outputs, one per position,
    // dense_stride(1) floats apart, in the scratch memory.
    const float* evaluate(int network, const float* in, std::ptrdiff_t in_stride, int count,
                          float* scratch) const;

  private:
    struct Layer {
        std::size_t bias;
        std::size_t weights;
        int inputs;
        int outputs;
        Activation activation;
    };
    struct Network {
        int first_layer;
        int layer_count;
    };

    AlignedVector<float> values_;
    AlignedVector<float> panel_;  // for packing
    std::vector<Layer> layers_;
    std::vector<Network> networks_;
    int widest_ = 0;
};

}  // namespace openface
