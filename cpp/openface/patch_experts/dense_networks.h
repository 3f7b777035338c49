// Many small fully connected networks whose weights share one block of memory: those of all CEN experts of a
// scale.
#pragma once

#include <vector>

#include "openface/core/aligned.h"
#include "openface/patch_experts/dense_layer.h"

namespace openface {

class DenseNetworks {
  public:
    // Room for about this many weights and biases; more are added at the price of moving those before.
    void reserve(std::size_t values);

    // Starts a network without layers; returns its index.
    int add_network();
    // Appends a layer to the newest network; weights row by row, outputs x inputs.
    void add_layer(int inputs, int outputs, Activation activation, const float* bias, const float* weights);

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
    std::vector<Layer> layers_;
    std::vector<Network> networks_;
    int widest_ = 0;  // the largest dense_stride
};

}  // namespace openface
