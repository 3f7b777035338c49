#include "openface/patch_experts/dense_networks.h"

#include <algorithm>
#include <cassert>

namespace openface {

namespace {
constexpr std::size_t slack = dense_panel;  // readable floats behind the last weight
}

void DenseNetworks::reserve(std::size_t count) {
    values_.reserve(count + slack);
}

int DenseNetworks::add_network() {
    networks_.push_back({int(layers_.size()), 0});
    return network_count() - 1;
}

std::size_t DenseNetworks::add_values(std::size_t count) {
    const std::size_t position = values_.empty() ? 0 : values_.size() - slack;
    assert(position + count + slack <= values_.capacity());
    values_.resize(position + count + slack);
    return position;
}

void DenseNetworks::add_layer(int inputs, int outputs, Activation activation, std::size_t bias,
                              std::size_t weights) {
    const std::size_t panel = std::size_t(dense_panel) * std::size_t(inputs);
    if (panel_.size() < panel) panel_.resize(panel);
    pack_dense_weights(values_.data() + weights, outputs, inputs, panel_.data());
    layers_.push_back({bias, weights, inputs, outputs, activation});
    ++networks_.back().layer_count;
    widest_ = std::max(widest_, outputs);
}

std::size_t DenseNetworks::scratch_size(int count) const {
    return 2 * std::size_t(count) * std::size_t(dense_stride(widest_));
}

const float* DenseNetworks::evaluate(int network, const float* in, std::ptrdiff_t in_stride, int count,
                                     float* scratch) const {
    float* out = scratch;
    float* other = scratch + scratch_size(count) / 2;
    const Network& chosen = networks_[std::size_t(network)];
    for (int i = 0; i < chosen.layer_count; ++i) {
        const Layer& layer = layers_[std::size_t(chosen.first_layer + i)];
        const DenseLayer dense{values_.data() + layer.weights, values_.data() + layer.bias, layer.inputs,
                               layer.outputs, layer.activation};
        const std::ptrdiff_t out_stride = dense_stride(layer.outputs);
        evaluate_dense_layer(dense, in, in_stride, count, out, out_stride);
        in = out;
        in_stride = out_stride;
        std::swap(out, other);
    }
    return in;
}

}  // namespace openface
